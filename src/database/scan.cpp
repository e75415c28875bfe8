#include "database/scan.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"
#include "database/classify.hpp"
#include "database/row_codec.hpp"

#include <algorithm>
#include <charconv>

namespace bft::database {

namespace {

Error failed(const Session& session, const std::string& table) {
    const SqlError& failure = session.last_error();
    return error(is_damage(failure) ? Errc::not_found : Errc::unavailable,
                 "table " + table + ": " + failure.text);
}

std::string list_of(const TableShape& shape, const std::vector<std::size_t>& which) {
    std::string list;
    for (std::size_t i : which) list += (list.empty() ? "" : ",") + quote_name(shape.columns[i]);
    return list;
}

std::string select_of(const TableShape& shape) {
    std::string list;
    for (const auto& column : shape.columns) list += (list.empty() ? "" : ",") + quote_name(column);
    return "SELECT " + list + " FROM " + quote_name(shape.name);
}

/// Rows from `first` on. Written out by columns: servers do not use an index for (a,b) >= (x,y).
std::string from_key(const TableShape& shape, const std::vector<std::string>& first) {
    std::string condition;
    for (std::size_t i = 0; i < shape.keys.size(); ++i) {
        bool last = i + 1 == shape.keys.size();
        std::string term;
        for (std::size_t k = 0; k < i; ++k)
            term += quote_name(shape.columns[shape.keys[k]]) + "=" +
                    literal(shape, shape.keys[k], first[k]) + " AND ";
        term += quote_name(shape.columns[shape.keys[i]]) + (last ? ">=" : ">") +
                literal(shape, shape.keys[i], first[i]);
        condition += (i == 0 ? "(" : " OR (") + term + ")";
    }
    return condition;
}

/// Cuts one table's rows into leaves and chunks.
class Cutter {
public:
    Cutter(const TableShape& shape, std::size_t number, const std::function<bool()>& pause,
           DatabaseScan& out, std::vector<consensus::DbLeaf>& leaves)
        : shape_(shape), number_(number), pause_(pause), out_(out), leaves_(leaves) {}

    void row(MYSQL_ROW fields, const unsigned long* lengths) {
        if (stopped_) return;
        PartitionId partition = partition_of(fields, lengths);
        if (!open_ || partition != leaves_.back().partition) {
            close_chunk();
            leaves_.push_back({shape_.name, partition, 0, {}});
            out_.shape_of.push_back(number_);
            out_.places.emplace_back();
            open_ = true;
        }
        if (buffer_.empty()) {
            ChunkPlace place;
            for (std::size_t key : shape_.keys)
                place.first.emplace_back(fields[key] == nullptr ? "" : fields[key],
                                         fields[key] == nullptr ? 0 : lengths[key]);
            out_.places.back().push_back(std::move(place));
        }
        for (std::size_t i = 0; i < shape_.columns.size(); ++i) {
            if (fields[i] == nullptr)
                put_null(buffer_);
            else
                put_value(buffer_, {fields[i], lengths[i]});
        }
        ++leaves_.back().rows;
        ++out_.places.back().back().rows;
        if (buffer_.size() >= chunk_bytes) close_chunk();
    }
    void close_chunk() {
        if (buffer_.empty()) return;
        leaves_.back().chunks.push_back(consensus::chunk_digest(buffer_));
        buffer_.clear();
        stopped_ = stopped_ || !pause_();
    }
    [[nodiscard]] bool stopped() const { return stopped_; }

private:
    [[nodiscard]] PartitionId partition_of(MYSQL_ROW fields, const unsigned long* lengths) const {
        if (!shape_.partitioned) return PartitionId(0);
        std::size_t column = shape_.keys.front();
        std::uint32_t value = 0;
        if (fields[column] != nullptr)
            std::from_chars(fields[column], fields[column] + lengths[column], value);
        return PartitionId(value);
    }

    const TableShape& shape_;
    std::size_t number_;
    const std::function<bool()>& pause_;
    DatabaseScan& out_;
    std::vector<consensus::DbLeaf>& leaves_;
    Bytes buffer_;
    bool open_ = false;
    bool stopped_ = false;
};

}  // namespace

std::map<std::string, std::string> tables_of(const catalog::Application& application) {
    std::map<std::string, std::string> tables = application.tables();
    tables["cbft_cfg"] = "";
    tables["cbft_exec"] = "";
    tables["cbft_part"] = "";
    tables["cbft_win"] = "home";
    return tables;
}

std::string literal(const TableShape& shape, std::size_t column, std::string_view value) {
    return shape.binary[column] ? quote_bytes(as_bytes(value)) : quote_text(value);
}

Result<TableShape> describe(Session& session, const std::string& table,
                            const std::string& partition_column) {
    TableShape shape{table, {}, {}, {}, !partition_column.empty()};
    auto columns = session.query(
        "SELECT column_name,data_type RLIKE '(binary|blob|bit)$' FROM information_schema.columns "
        "WHERE table_schema=DATABASE()"
        " AND table_name=" +
        quote_text(table) + " AND COALESCE(generation_expression,'')='' ORDER BY ordinal_position");
    if (!columns) return failed(session, table);
    for (const auto& row : *columns) {
        shape.columns.push_back(row[0].value_or(""));
        shape.binary.push_back(row[1] == "1");
    }
    auto keys = session.query(
        "SELECT column_name FROM information_schema.statistics WHERE table_schema=DATABASE()"
        " AND table_name=" +
        quote_text(table) + " AND index_name='PRIMARY' ORDER BY seq_in_index");
    if (!keys) return failed(session, table);
    auto number = [&](const std::string& name) {
        return static_cast<std::size_t>(
            std::find(shape.columns.begin(), shape.columns.end(), name) - shape.columns.begin());
    };
    auto missing = [&](const char* what) {
        return error(Errc::not_found, "table " + table + " has lost its " + what);
    };
    if (shape.columns.empty()) return error(Errc::not_found, "table " + table + " does not exist");
    if (keys->empty()) return missing("primary key");
    if (shape.partitioned) shape.keys.push_back(number(partition_column));
    for (const auto& row : *keys)
        if (row[0].value_or("") != partition_column || !shape.partitioned)
            shape.keys.push_back(number(row[0].value_or("")));
    for (std::size_t key : shape.keys)
        if (key == shape.columns.size()) return missing("partition column");
    return shape;
}

Result<void> begin_snapshot(Session& session) {
    return session.run(
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
        "SET SESSION net_write_timeout=3600;"
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

Result<DatabaseScan> scan(Session& session, const std::map<std::string, std::string>& tables,
                          const std::function<bool()>& pause) {
    DatabaseScan out;
    std::vector<consensus::DbLeaf> leaves;
    for (const auto& [table, column] : tables) {
        auto shape = describe(session, table, column);
        if (!shape) return shape.error();
        out.shapes.push_back(std::move(*shape));
    }
    for (std::size_t i = 0; i < out.shapes.size(); ++i) {
        const TableShape& shape = out.shapes[i];
        Cutter cutter(shape, i, pause, out, leaves);
        session.send(select_of(shape) + " ORDER BY " + list_of(shape, shape.keys));
        bool complete = session.next() == Session::Part::result_set &&
                        session.read_rows([&](MYSQL_ROW row, const unsigned long* lengths) {
                            cutter.row(row, lengths);
                        });
        if (!complete) return failed(session, shape.name);
        while (session.next() == Session::Part::ok) {
        }
        cutter.close_chunk();
        if (cutter.stopped()) return error(Errc::unavailable, "the scan was broken off");
    }
    out.leaves = std::make_shared<const std::vector<consensus::DbLeaf>>(std::move(leaves));
    return out;
}

Result<Bytes> read_chunk(Session& session, const DatabaseScan& scan, std::uint32_t leaf,
                         std::uint32_t chunk) {
    invariant(leaf < scan.places.size() && chunk < scan.places[leaf].size(),
              "a chunk that the scan has seen");
    const TableShape& shape = scan.shapes[scan.shape_of[leaf]];
    const ChunkPlace& place = scan.places[leaf][chunk];
    session.send(select_of(shape) + " WHERE " + from_key(shape, place.first) + " ORDER BY " +
                 list_of(shape, shape.keys) + " LIMIT " + std::to_string(place.rows));
    Bytes rows;
    bool complete = session.next() == Session::Part::result_set &&
                    session.read_rows([&](MYSQL_ROW row, const unsigned long* lengths) {
                        for (std::size_t i = 0; i < shape.columns.size(); ++i) {
                            if (row[i] == nullptr)
                                put_null(rows);
                            else
                                put_value(rows, {row[i], lengths[i]});
                        }
                    });
    if (!complete) return failed(session, shape.name);
    while (session.next() == Session::Part::ok) {
    }
    return rows;
}

}  // namespace bft::database
