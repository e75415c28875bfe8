#include "reference.hpp"

#include "consensus/signed_bytes.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

ItemResult execute_on(const Reference::Entry& entry, std::map<PartitionId, Rows>& rows) {
    ItemResult result;
    result.index = entry.item.index;
    result.rid = entry.item.rid;
    result.has_result = true;
    if (entry.item.kind == ItemKind::nop) {
        result.outcome = Outcome::duplicate;
    } else {
        Effect effect = run(*entry.body, entry.item.ts_ms, entry.item.seed,
                            [&](PartitionId p) -> Rows& { return rows[p]; });
        result.outcome = effect.outcome;
        result.code = effect.code;
        if (effect.outcome == Outcome::ok) result.result = encode(effect.value);
    }
    result.rdig = result_digest(result.outcome, result.code, result.result);
    return result;
}

}  // namespace

void Reference::append(const Prepare& prepare) {
    SlotEntries slot{prepare.header, prepare.hd, prepare.view, {}};
    std::uint64_t seed = slot_seed(prepare.header->previous);
    std::uint32_t index = 0;
    for (const EntryHeader& header : prepare.header->entries) {
        Entry entry;
        entry.header = header;
        entry.owner = membership_.owner(header.rid.home).value_or(GroupId(0));
        entry.item.index = index;
        entry.item.rid = header.rid;
        entry.item.rd = header.rd;
        entry.item.ts_ms = prepare.header->ts_ms;
        entry.item.seed = seed + index;
        for (PartitionId p : header.parts) {
            Seq& next = chain_next_.try_emplace(p, Seq(1)).first->second;
            entry.item.seqs.push_back({p, next});
            next = next.next();
        }
        ++index;
        slot.entries.push_back(std::move(entry));
    }
    slots_.push_back(std::move(slot));
}

const Reference::Entry* Reference::entry(Slot where, std::uint32_t index) const {
    const SlotEntries* found = slot(where);
    return found == nullptr || index >= found->entries.size() ? nullptr : &found->entries[index];
}

std::optional<std::string> Reference::decide(GroupId group, Slot upto,
                                             const std::map<Digest, Body>& bodies) {
    Slot& done = decided_[group];
    while (done < upto) {
        if (done >= tip()) return "slot " + std::to_string(upto.value) + " is beyond the chain";
        for (Entry& entry : slots_[done.value].entries) {
            if (entry.owner != group) continue;
            auto body = bodies.find(entry.header.rd);
            if (body == bodies.end())
                return "slot " + std::to_string(done.value + 1) +
                       " was committed although no valid body exists";
            if (body->second->id != entry.header.rid || body->second->parts != entry.header.parts)
                return "slot " + std::to_string(done.value + 1) +
                       " was committed with a body of another request";
            entry.body = body->second;
            bool fresh = windows_[{entry.header.rid.home, entry.header.rid.client}].insert(
                entry.header.rid.cseq, entry.body->ack_low);
            entry.item.kind = fresh ? ItemKind::transaction : ItemKind::nop;
            entry.decided = true;
        }
        done = done.next();
    }
    return std::nullopt;
}

std::optional<std::string> Reference::execute(Slot where, std::uint32_t index) {
    if (entry(where, index) == nullptr) return "no such entry";
    Entry& entry = slots_[where.value - 1].entries[index];
    if (entry.executed) return std::nullopt;
    if (!entry.decided) return "the entry was not committed by its group";
    for (const PartitionSeq& s : entry.item.seqs)
        if (next_.try_emplace(s.partition, Seq(1)).first->second != s.seq)
            return "an earlier entry of partition " + std::to_string(s.partition.value) +
                   " was not executed";
    entry.result = execute_on(entry, rows_);
    entry.executed = true;
    for (const PartitionSeq& s : entry.item.seqs) next_[s.partition] = s.seq.next();
    return std::nullopt;
}

std::optional<std::string> Reference::serial_difference() const {
    std::map<PartitionId, Rows> rows;
    for (const SlotEntries& slot : slots_) {
        for (const Entry& entry : slot.entries) {
            if (!entry.executed) continue;
            if (!execute_on(entry, rows).same_answer(entry.result))
                return "slot " + std::to_string(slot.header->slot.value) + " index " +
                       std::to_string(entry.item.index);
        }
    }
    for (const auto& [partition, expected] : rows) {
        auto found = rows_.find(partition);
        if (found == rows_.end() || found->second != expected)
            return "rows of partition " + std::to_string(partition.value);
    }
    return std::nullopt;
}

bool Reference::complete(Slot upto) const {
    for (Slot s(1); s <= upto && s <= tip(); s = s.next())
        for (const Entry& entry : slots_[s.value - 1].entries)
            if (!entry.executed) return false;
    return true;
}

}  // namespace bft::sim
