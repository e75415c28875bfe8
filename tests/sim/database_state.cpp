#include "database_state.hpp"

#include "consensus/signed_bytes.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

// Few: small databases must have several chunks, too.
constexpr std::size_t rows_per_chunk = 8;

class Writer {
public:
    template <class... Values>
    Writer& put(Values... values) {
        (append(static_cast<std::uint64_t>(values)), ...);
        return *this;
    }
    Writer& raw(ByteView bytes) {
        append(bytes.size());
        row_.insert(row_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    [[nodiscard]] const Bytes& row() const { return row_; }

private:
    void append(std::uint64_t value) {
        Bytes bytes = encode(value);
        row_.insert(row_.end(), bytes.begin(), bytes.end());
    }
    Bytes row_;
};

class Reader {
public:
    explicit Reader(ByteView bytes) : bytes_(bytes) {}
    std::uint64_t number() {
        if (bytes_.size() < 8) return bad();
        std::uint64_t value = 0;
        for (std::size_t i = 8; i-- > 0;) value = value << 8 | bytes_[i];
        bytes_ = bytes_.subspan(8);
        return value;
    }
    std::uint32_t small() { return static_cast<std::uint32_t>(number()); }
    ByteView raw() {
        std::uint64_t size = number();
        if (size > bytes_.size()) {
            bad();
            return {};
        }
        ByteView found = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return found;
    }
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool more() const { return good_ && !bytes_.empty(); }

private:
    std::uint64_t bad() {
        good_ = false;
        return 0;
    }
    ByteView bytes_;
    bool good_ = true;
};

class Table {
public:
    Table(std::vector<TableChunks>& all, const char* name) : all_(all), name_(name) {}
    void add(PartitionId partition, const Writer& writer) {
        if (!begun_ || all_.back().partition != partition)
            all_.push_back({name_, partition, 0, {}});
        begun_ = true;
        TableChunks& leaf = all_.back();
        if (leaf.rows++ % rows_per_chunk == 0) leaf.chunks.emplace_back();
        const Bytes& row = writer.row();
        leaf.chunks.back().insert(leaf.chunks.back().end(), row.begin(), row.end());
    }

private:
    std::vector<TableChunks>& all_;
    const char* name_;
    bool begun_ = false;
};

Bytes bits_of(const ClientWindow& window) {
    Bytes bits(ClientWindow::size / 8);
    for (std::size_t i = 0; i < ClientWindow::size; ++i)
        if (window.bits()[i]) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1u << i % 8);
    return bits;
}

ClientWindow window_of(ClientSeq low, ByteView bits) {
    std::bitset<ClientWindow::size> set;
    for (std::size_t i = 0; i < ClientWindow::size && i / 8 < bits.size(); ++i)
        set[i] = (bits[i / 8] >> i % 8 & 1) != 0;
    return {low, set};
}

}  // namespace

void DatabaseState::forget_executed(Slot slot, std::uint64_t kept) {
    if (slot.value <= kept) return;
    auto end = executed.upper_bound({Slot(slot.value - kept), UINT32_MAX});
    for (auto row = executed.begin(); row != end;) {
        auto window = windows.find({row->second.rid.home, row->second.rid.client});
        bool finished = window != windows.end() && row->second.rid.cseq < window->second.low();
        row = finished ? executed.erase(row) : std::next(row);
    }
}

std::vector<TableChunks> chunks_of(const DatabaseState& state) {
    std::vector<TableChunks> tables;
    Table account(tables, "account");
    for (const auto& [partition, rows] : state.rows)
        for (std::size_t i = 0; i < rows.size(); ++i)
            account.add(partition, Writer().put(partition.value, i, rows[i]));
    if (!state.config.empty())
        Table(tables, "cbft_cfg").add(PartitionId(0), Writer().raw(state.config));
    Table executed(tables, "cbft_exec");
    for (const auto& [place, row] : state.executed)
        executed.add(PartitionId(0), Writer()
                                         .put(place.first.value, place.second, row.rid.client.value,
                                              row.rid.home.value, row.rid.cseq.value,
                                              static_cast<std::uint8_t>(row.outcome), row.code)
                                         .raw(row.result));
    Table part(tables, "cbft_part");
    for (const auto& [partition, seq] : state.next)
        part.add(PartitionId(0), Writer().put(partition.value, seq.value));
    Table win(tables, "cbft_win");
    for (const auto& [key, window] : state.windows)
        win.add(key.first, Writer()
                               .put(key.first.value, key.second.value, window.low().value)
                               .raw(bits_of(window)));
    return tables;
}

DbLeavesPtr leaves_of(const std::vector<TableChunks>& tables) {
    auto leaves = std::make_shared<std::vector<DbLeaf>>();
    for (const TableChunks& table : tables) {
        DbLeaf leaf{table.table, table.partition, table.rows, {}};
        for (const Bytes& chunk : table.chunks) leaf.chunks.push_back(chunk_digest(chunk));
        leaves->push_back(std::move(leaf));
    }
    return leaves;
}

bool load_chunk(DatabaseState& state, const DbLeaf& leaf, ByteView rows) {
    Reader in(rows);
    while (in.more()) {
        if (leaf.table == "account") {
            Rows& at = state.rows[PartitionId(in.small())];
            std::size_t i = in.number();
            at[i % at.size()] = in.number();
        } else if (leaf.table == "cbft_cfg") {
            state.config = to_bytes(in.raw());
        } else if (leaf.table == "cbft_exec") {
            std::pair place{Slot(in.number()), in.small()};
            ItemResult row;
            row.index = place.second;
            row.rid.client = ClientId(in.number());
            row.rid.home = PartitionId(in.small());
            row.rid.cseq = ClientSeq(in.number());
            row.outcome = static_cast<Outcome>(in.number());
            row.code = in.small();
            row.result = to_bytes(in.raw());
            row.rdig = result_digest(row.outcome, row.code, row.result);
            row.has_result = true;
            state.executed[place] = std::move(row);
        } else if (leaf.table == "cbft_part") {
            PartitionId partition(in.small());
            state.next[partition] = Seq(in.number());
        } else if (leaf.table == "cbft_win") {
            PartitionId home(in.small());
            ClientId client(in.number());
            ClientSeq low(in.number());
            state.windows[{home, client}] = window_of(low, in.raw());
        } else {
            return false;
        }
    }
    return in.good();
}

}  // namespace bft::sim
