// The state at a checkpoint, in snapshots and between replicas, to and from protobuf.
#include "wire/parts.hpp"

namespace bft::wire {

using namespace consensus;

namespace {

constexpr std::size_t words_per_window = ClientWindow::size / 64;

void write_window(const ClientWindow& in, pb::DerivedState* out) {
    out->add_lows(in.low().value);
    for (std::size_t word = 0; word < words_per_window; ++word) {
        std::uint64_t bits = 0;
        for (std::size_t bit = 0; bit < 64; ++bit)
            bits |= std::uint64_t{in.bits()[word * 64 + bit]} << bit;
        out->add_bits(bits);
    }
}

ClientWindow read_window(const pb::DerivedState& in, int at) {
    std::bitset<ClientWindow::size> bits;
    for (std::size_t bit = 0; bit < ClientWindow::size; ++bit)
        bits[bit] =
            (in.bits(at * static_cast<int>(words_per_window) + static_cast<int>(bit / 64)) >>
                 (bit % 64) &
             1) != 0;
    return {ClientSeq(in.lows(at)), bits};
}

void write(const std::pair<Slot, DbItem>& in, pb::SnapshotItem* out) {
    const DbItem& item = in.second;
    out->set_slot(in.first.value);
    out->set_index(item.index);
    out->set_kind(static_cast<std::uint32_t>(item.kind));
    out->set_client(item.rid.client.value);
    out->set_home(item.rid.home.value);
    out->set_cseq(item.rid.cseq.value);
    out->set_rd(text(item.rd.view()));
    out->set_ts_ms(item.ts_ms);
    out->set_seed(item.seed);
    for (const PartitionSeq& seq : item.seqs) {
        out->add_partitions(seq.partition.value);
        out->add_seqs(seq.seq.value);
    }
}

Fault read(const pb::SnapshotItem& in, std::pair<Slot, DbItem>& out) {
    out.first = Slot(in.slot());
    DbItem& item = out.second;
    item.index = in.index();
    std::optional<ItemKind> kind = item_kind(in.kind());
    if (!kind) return "unknown kind of item";
    item.kind = *kind;
    item.rid = {ClientId(in.client()), PartitionId(in.home()), ClientSeq(in.cseq())};
    item.ts_ms = in.ts_ms();
    item.seed = in.seed();
    if (in.partitions_size() != in.seqs_size())
        return "the columns of a snapshot's item differ in length";
    for (int i = 0; i < in.seqs_size(); ++i)
        item.seqs.push_back({PartitionId(in.partitions(i)), Seq(in.seqs(i))});
    return wire::read(in.rd(), item.rd);
}

}  // namespace

void write(const DerivedState& in, pb::DerivedState* out) {
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    out->set_ts_ms(in.ts_ms);
    out->set_null_digest(text(in.null_digest.view()));
    for (const auto& [partition, seq] : in.next_seq) {
        out->add_partitions(partition.value);
        out->add_seqs(seq.value);
    }
    for (const auto& [key, window] : in.windows) {
        out->add_homes(key.first.value);
        out->add_clients(key.second.value);
        write_window(window, out);
    }
    for (const auto& item : in.unfinished) write(item, out->add_unfinished());
    if (!in.config.is_zero()) out->set_config(text(in.config.view()));
}

Fault read(const pb::DerivedState& in, DerivedState& out) {
    out.slot = Slot(in.slot());
    out.ts_ms = in.ts_ms();
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read(in.null_digest(), out.null_digest)) return fault;
    const int windows = in.homes_size();
    if (in.partitions_size() != in.seqs_size() || in.clients_size() != windows ||
        in.lows_size() != windows || in.bits_size() != windows * static_cast<int>(words_per_window))
        return "the columns of a state differ in length";
    for (int i = 0; i < in.partitions_size(); ++i)
        out.next_seq[PartitionId(in.partitions(i))] = Seq(in.seqs(i));
    for (int i = 0; i < windows; ++i)
        out.windows[{PartitionId(in.homes(i)), ClientId(in.clients(i))}] = read_window(in, i);
    for (const auto& item : in.unfinished())
        if (Fault fault = read(item, out.unfinished.emplace_back())) return fault;
    return in.config().empty() ? nullptr : read(in.config(), out.config);
}

void write(const StatePart& in, pb::StatePart* out) {
    write(in.cert, out->mutable_cert());
    out->set_part(in.part);
    out->set_parts(in.parts);
    write(in.state, out->mutable_state());
    for (const Vouch& vouch : in.vouches) write(vouch, out->add_vouches());
    if (in.barrier) write(*in.barrier, out->mutable_barrier());
}

Fault read(const pb::StatePart& in, StatePart& out) {
    out.part = in.part();
    out.parts = in.parts();
    if (Fault fault = read(in.cert(), out.cert)) return fault;
    if (Fault fault = read(in.state(), out.state)) return fault;
    for (const auto& vouch : in.vouches())
        if (Fault fault = read(vouch, out.vouches.emplace_back())) return fault;
    return in.has_barrier() ? read(in.barrier(), out.barrier) : nullptr;
}

}  // namespace bft::wire
