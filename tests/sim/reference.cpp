#include "reference.hpp"

#include "consensus/config_change.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t roots_kept = 256;

ItemResult execute_on(const Reference::Entry& entry, std::map<PartitionId, Rows>& rows) {
    ItemResult result;
    result.index = entry.item.index;
    result.rid = entry.item.rid;
    result.has_result = true;
    if (entry.item.kind == ItemKind::checkpoint || entry.item.kind == ItemKind::config) {
        result.outcome = Outcome::ok;
    } else if (entry.item.kind == ItemKind::nop) {
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

bool Reference::ever_owned(GroupId group, PartitionId partition) const {
    return std::any_of(configs_.begin(), configs_.end(),
                       [&](const auto& each) { return each.second.owner(partition) == group; });
}

std::optional<std::string> Reference::append(const HeaderPtr& header, const Digest& hd) {
    // S-CFG. Beyond a CONFIG entry that was kept, all groups have delivered it. Beyond one that its
    // own group has not decided, it must turn out null.
    if (Slot last = configs_.rbegin()->first; last.value > 0)
        for (const Group& group : configs_.rbegin()->second.groups)
            if (configs_.rbegin()->second.signs_barrier(group) && decided(group.id) < last)
                return "slot " + std::to_string(header->slot.value) +
                       " was delivered although group " + std::to_string(group.id.value) +
                       " has not delivered the configuration before it";
    if (!header->entries.empty() && header->entries.front().kind == EntryKind::config)
        undecided_config_ = header->slot;
    SlotEntries slot{header, hd, {}};
    std::uint64_t seed = slot_seed(header->previous);
    std::uint32_t index = 0;
    for (const EntryHeader& each : header->entries) {
        Entry entry;
        entry.header = each;
        entry.owner = owner(header->slot, each.rid.home).value_or(GroupId(0));
        entry.item.index = index;
        entry.item.rid = each.rid;
        entry.item.rd = each.rd;
        entry.item.ts_ms = header->ts_ms;
        entry.item.seed = seed + index;
        for (PartitionId p : each.parts) {
            Seq& next = chain_next_.try_emplace(p, Seq(1)).first->second;
            entry.item.seqs.push_back({p, next});
            next = next.next();
        }
        ++index;
        slot.entries.push_back(std::move(entry));
    }
    if (membership_.is_checkpoint(header->slot))
        slot.entries.push_back(checkpoint_entry(*header, seed));
    slots_.push_back(std::move(slot));
    return std::nullopt;
}

// The implicit entry comes last and touches everything.
Reference::Entry Reference::checkpoint_entry(const Header& header, std::uint64_t seed) {
    Entry entry;
    entry.owner = *membership_.owner(PartitionId(0));
    entry.item.index = static_cast<std::uint32_t>(header.entries.size());
    entry.item.kind = ItemKind::checkpoint;
    entry.item.rid = {ClientId(0), PartitionId(0), ClientSeq(header.slot.value)};
    entry.header.rid = entry.item.rid;
    entry.item.ts_ms = header.ts_ms;
    entry.item.seed = seed + entry.item.index;
    for (const auto& [partition, owner] : membership_.owners) {
        Seq& next = chain_next_.try_emplace(partition, Seq(1)).first->second;
        entry.item.seqs.push_back({partition, next});
        next = next.next();
    }
    return entry;
}

const Reference::Entry* Reference::entry(Slot where, std::uint32_t index) const {
    const SlotEntries* found = slot(where);
    return found == nullptr || index >= found->entries.size() ? nullptr : &found->entries[index];
}

std::optional<std::string> Reference::decide(GroupId group, Slot slot,
                                             const std::set<std::uint32_t>& null,
                                             const std::map<Digest, Body>& bodies) {
    std::string where = "slot " + std::to_string(slot.value);
    if (slot > tip()) return where + " is beyond the chain";
    if (slot != decided_[group].next()) return where + " was delivered after a gap";
    decided_[group] = slot;
    for (Entry& entry : at(slot).entries) {
        if (entry.owner != group) continue;
        entry.decided = true;
        if (entry.item.kind == ItemKind::checkpoint) continue;
        entry.item.kind = ItemKind::nop;
        entry.null = null.contains(entry.item.index);
        bool config = entry.header.kind == EntryKind::config;
        if (config) undecided_config_.reset();
        if (entry.null) continue;
        auto body = bodies.find(entry.header.rd);
        if (body == bodies.end()) return where + " was committed although no valid body exists";
        if (body->second->id != entry.header.rid || body->second->parts != entry.header.parts)
            return where + " was committed with a body of another request";
        entry.body = body->second;
        if (config && tip() > slot)
            return where + ": a configuration is kept that others have passed as null";
        if (config) {
            auto change = decode_change(entry.body->op);
            if (!change) return where + " was committed with something that is no configuration";
            auto next = apply(configs_.rbegin()->second, *change);
            if (!next) return where + ": " + next.error().what;
            for (const Group& each : next->groups)
                if (each.added == next->version) decided_[each.id] = slot;
            configs_[slot] = std::move(*next);
            entry.item.kind = ItemKind::config;
            continue;
        }
        // CF12. What a client's key was worth at a slot, the order alone says.
        if (!this->config(slot).in_force(entry.header.rid.client, entry.body->key))
            return where + " was executed for client " +
                   std::to_string(entry.header.rid.client.value) + ", which has no such key there";
        if (windows_[{entry.header.rid.home, entry.header.rid.client}].insert(entry.header.rid.cseq,
                                                                              entry.body->ack_low))
            entry.item.kind = ItemKind::transaction;
    }
    return std::nullopt;
}

std::optional<std::string> Reference::execute(Slot where, std::uint32_t index) {
    if (entry(where, index) == nullptr) return "no such entry";
    Entry& entry = at(where).entries[index];
    if (entry.executed) return std::nullopt;
    if (!entry.decided) return "the entry was not committed by its group";
    for (const PartitionSeq& s : entry.item.seqs)
        if (state_.next.try_emplace(s.partition, Seq(1)).first->second != s.seq)
            return "an earlier entry of partition " + std::to_string(s.partition.value) +
                   " was not executed";
    entry.result = execute_on(entry, state_.rows);
    entry.executed = true;
    for (const PartitionSeq& s : entry.item.seqs) state_.next[s.partition] = s.seq.next();
    if (entry.item.kind == ItemKind::transaction) {
        const RequestId& rid = entry.item.rid;
        state_.windows[{rid.home, rid.client}].insert(rid.cseq, entry.body->ack_low);
        state_.executed[{where, index}] = entry.result;
    }
    if (entry.item.kind == ItemKind::config) state_.config = encode(configs_.at(where));
    if (entry.item.kind != ItemKind::checkpoint) return std::nullopt;
    // It touches every partition, so this is the state at its slot.
    state_.forget_executed(where, exec_kept_);
    bool scheduled = membership_.scan_slots != 0 && where.value % membership_.scan_slots == 0;
    if (scheduled || wanted_.contains(where)) roots_[where] = root();
    wanted_.erase(wanted_.begin(), wanted_.upper_bound(where));
    while (roots_.size() > roots_kept) roots_.erase(roots_.begin());
    return std::nullopt;
}

void Reference::want_root(Slot slot) {
    if (wanted_.size() < roots_kept) wanted_.insert(slot);
}

std::optional<Digest> Reference::root(Slot slot) const {
    auto found = roots_.find(slot);
    if (found == roots_.end()) return std::nullopt;
    return found->second;
}

Digest Reference::root() const {
    return database_root(*leaves_of(chunks_of(state_)));
}

namespace {

std::optional<std::string> serial_step(const Reference::SlotEntries& slot,
                                       std::map<PartitionId, Rows>& rows) {
    for (const Reference::Entry& entry : slot.entries) {
        if (!entry.executed || entry.item.kind == ItemKind::checkpoint ||
            entry.item.kind == ItemKind::config)
            continue;
        if (!execute_on(entry, rows).same_answer(entry.result))
            return "slot " + std::to_string(slot.header->slot.value) + " index " +
                   std::to_string(entry.item.index);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> Reference::forget(Slot low,
                                             const std::function<void(const Entry&)>& gone) {
    auto done = [](const Entry& entry) { return entry.executed; };
    while (base_ < low && !slots_.empty()) {
        const SlotEntries& slot = slots_.front();
        if (!std::all_of(slot.entries.begin(), slot.entries.end(), done)) return std::nullopt;
        if (auto difference = serial_step(slot, serial_)) return difference;
        for (const Entry& entry : slot.entries) gone(entry);
        slots_.pop_front();
        base_ = base_.next();
    }
    return std::nullopt;
}

std::optional<std::string> Reference::serial_difference() const {
    std::map<PartitionId, Rows> rows = serial_;
    for (const SlotEntries& slot : slots_)
        if (auto difference = serial_step(slot, rows)) return difference;
    for (const auto& [partition, expected] : rows) {
        auto found = state_.rows.find(partition);
        if (found == state_.rows.end() || found->second != expected)
            return "rows of partition " + std::to_string(partition.value);
    }
    return std::nullopt;
}

bool Reference::complete(Slot upto) const {
    for (Slot s = base_.next(); s <= upto && s <= tip(); s = s.next())
        for (const Entry& entry : slots_[s - base_ - 1].entries)
            if (!entry.executed) return false;
    return true;
}

}  // namespace bft::sim
