#include "checker.hpp"

#include "population.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <memory>

namespace bft::tpcc {

namespace {

/// SHA-256 over the rows of a slice: each value with its length before it, NULL as a length of its
/// own.
class RowHash {
public:
    RowHash() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

    void add(RowView row) {
        buffer_.clear();
        for (const auto& field : row) {
            std::uint32_t length = field ? static_cast<std::uint32_t>(field->size()) : UINT32_MAX;
            for (int shift = 24; shift >= 0; shift -= 8)
                buffer_.push_back(static_cast<char>(length >> shift));
            if (field) buffer_.append(*field);
        }
        EVP_DigestUpdate(context_.get(), buffer_.data(), buffer_.size());
        ++rows_;
    }

    SliceDigest finish() {
        SliceDigest result;
        result.rows = rows_;
        EVP_DigestFinal_ex(context_.get(), result.digest.bytes.data(), nullptr);
        return result;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free};
    std::string buffer_;
    std::uint64_t rows_ = 0;
};

std::string joined(const TextRow& row) {
    std::string out;
    for (const auto& field : row) {
        if (!out.empty()) out += ", ";
        out += field.value_or("NULL");
    }
    return out;
}

/// The columns of a table's primary key, comma between them; empty when the table does not exist.
Result<std::string> primary_key(Session& session, std::string_view table) {
    auto columns = session.rows(fmt::format(
        "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE()"
        " AND table_name = {} AND index_name = 'PRIMARY' ORDER BY seq_in_index",
        session.quoted(table)));
    if (!columns) return columns.error();
    std::string key;
    for (const TextRow& row : *columns) {
        if (!key.empty()) key += ", ";
        key += "`" + row.front().value_or("") + "`";
    }
    return key;
}

Result<std::string> slice_query(Session& session, const Slice& slice) {
    auto key = primary_key(session, slice.table);
    if (!key) return key;
    if (key->empty())
        return error(Errc::not_found, "table " + slice.table + " is missing or has no primary key");
    std::string where;
    for (Table table : all_tables)
        if (info(table).name == slice.table && slice.warehouse > 0)
            where = fmt::format("WHERE {} = {} ", info(table).partition_column, slice.warehouse);
    return fmt::format("SELECT * FROM {} {}ORDER BY {}", slice.table, where, *key);
}

/// TPC-C's tables are sliced by the warehouses that occur in them, whether or not they should.
Result<std::vector<Slice>> slices(Session& session) {
    std::vector<Slice> all;
    for (Table table : all_tables) {
        const TableInfo& about = info(table);
        if (about.partition_column.empty()) {
            all.push_back({std::string(about.name), 0});
            continue;
        }
        auto warehouses = session.rows(fmt::format("SELECT DISTINCT {0} FROM {1} ORDER BY {0}",
                                                   about.partition_column, about.name));
        if (!warehouses) return warehouses.error();
        for (const TextRow& row : *warehouses)
            all.push_back({std::string(about.name), std::stoi(row.front().value_or("0"))});
    }
    for (const char* table : {"cbft_part", "cbft_exec", "cbft_win"}) {
        auto key = primary_key(session, table);
        if (!key) return key.error();
        if (!key->empty()) all.push_back({table, 0});
    }
    return all;
}

}  // namespace

Result<std::vector<ConditionResult>> check_conditions(const Login& login) {
    auto session = Session::connect(login);
    if (!session) return session.error();
    std::vector<ConditionResult> results;
    for (const Condition& condition : conditions) {
        ConditionResult result;
        auto rows = session->rows(std::string(condition.violations));
        if (!rows) return rows.error();
        result.violations = rows->size();
        if (!rows->empty()) result.example = joined(rows->front());
        results.push_back(std::move(result));
    }
    return results;
}

Result<std::map<Slice, SliceDigest>> digest_slices(const Login& login) {
    auto session = Session::connect(login);
    if (!session) return session.error();
    for (const char* statement : {"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                                  "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"})
        if (auto done = session->run(statement); !done) return done.error();
    auto all = slices(*session);
    if (!all) return all.error();
    std::map<Slice, SliceDigest> digests;
    for (const Slice& slice : *all) {
        auto query = slice_query(*session, slice);
        if (!query) return query.error();
        RowHash hash;
        if (auto done = session->read(*query, [&](RowView row) { hash.add(row); }); !done)
            return done.error();
        digests[slice] = hash.finish();
    }
    return digests;
}

Result<std::string> first_difference(const Login& a, const Login& b, const Slice& slice) {
    std::vector<TextRow> sides[2];
    const Login* logins[] = {&a, &b};
    for (int side = 0; side < 2; ++side) {
        auto session = Session::connect(*logins[side]);
        if (!session) return session.error();
        auto query = slice_query(*session, slice);
        if (!query) return query.error();
        auto rows = session->rows(*query);
        if (!rows) return rows.error();
        sides[side] = std::move(*rows);
    }
    auto shown = [](const std::vector<TextRow>& rows, std::size_t i) {
        return i < rows.size() ? "(" + joined(rows[i]).substr(0, 200) + ")" : std::string("no row");
    };
    for (std::size_t i = 0; i < sides[0].size() || i < sides[1].size(); ++i)
        if (i >= sides[0].size() || i >= sides[1].size() || sides[0][i] != sides[1][i])
            return shown(sides[0], i) + " / " + shown(sides[1], i);
    return std::string("no difference any more");
}

Result<std::map<std::string, std::string>> executed_up_to(const Login& login) {
    auto session = Session::connect(login);
    if (!session) return session.error();
    std::map<std::string, std::string> next;
    auto key = primary_key(*session, "cbft_part");
    if (!key) return key.error();
    if (key->empty()) return next;
    auto rows = session->rows("SELECT * FROM cbft_part");
    if (!rows) return rows.error();
    for (const TextRow& row : *rows) {
        TextRow rest(row.begin() + 1, row.end());
        next[row.front().value_or("")] = joined(rest);
    }
    return next;
}

}  // namespace bft::tpcc
