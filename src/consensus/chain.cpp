#include "consensus/chain.hpp"

#include "base/invariant.hpp"
#include "consensus/config_change.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus {

Chain::Chain(const Membership& membership, std::optional<GroupId> group,
             const ConfigHistory* configs)
    : membership_(membership),
      group_(group),
      configs_(configs),
      low_digest_(genesis_header_digest(membership.cluster)),
      tip_digest_(low_digest_) {
    for (const auto& [partition, owner] : membership.owners) next_seq_[partition] = Seq(1);
}

std::optional<std::string> Chain::why_invalid(const Header& header) const {
    return why_invalid_header(membership_, header, tip_, tip_digest_, tip_ts_ms_);
}

std::optional<std::string> why_invalid_header(const Membership& membership, const Header& header,
                                              Slot after, const Digest& after_hd,
                                              UnixMillis after_ts_ms) {
    if (header.slot != after.next()) return "V1: not the next slot";
    if (header.previous != after_hd) return "V1: another predecessor";
    if (header.ts_ms <= after_ts_ms) return "V5: time does not increase";
    for (const EntryHeader& entry : header.entries) {
        bool config = entry.kind == EntryKind::config;
        if (config && header.entries.size() != 1) return "V4: CONFIG is not alone in its slot";
        if (config != (entry.rid.home.value == 0) || config != (entry.rid.client == config_client))
            return "V4: partition 0 is for CONFIG";
        const auto& parts = entry.parts;
        if (parts.empty()) return "V3: no partitions";
        if (std::adjacent_find(parts.begin(), parts.end(), std::greater_equal<>()) != parts.end())
            return "V3: partitions not sorted and unique";
        if (!std::binary_search(parts.begin(), parts.end(), entry.rid.home))
            return "V3: home is not among the partitions";
        for (PartitionId p : parts)
            if ((p.value == 0 && !config) || !membership.owner(p)) return "V3: no such partition";
    }
    return std::nullopt;
}

const Link& Chain::append(Prepare prepare) {
    invariant(prepare.header != nullptr, "a link has its header");
    invariant(prepare.slot == tip_.next(), "the chain grows by one slot");
    const Header& header = *prepare.header;
    Link link{std::move(prepare), {}, {}, false};
    for (std::uint32_t i = 0; i < header.entries.size(); ++i) {
        const EntryHeader& entry = header.entries[i];
        bool own = group_ && owner(header.slot, entry.rid.home) == group_;
        if (entry.kind == EntryKind::config) link.config = true;
        OwnEntry mine{i, {}};
        for (PartitionId p : entry.parts) {
            Seq& next = next_seq_[p];
            if (own) mine.seqs.push_back({p, next});
            next = next.next();
        }
        if (own) link.own.push_back(std::move(mine));
    }
    // Database checkpoints (section 3.14): the implicit entry comes last and touches everything.
    if (membership_.is_checkpoint(header.slot)) {
        bool own = group_ && owner(header.slot, PartitionId(0)) == group_;
        for (auto& [partition, next] : next_seq_) {
            if (own) link.checkpoint.push_back({partition, next});
            next = next.next();
        }
    }
    tip_ = header.slot;
    tip_digest_ = link.prepare.hd;
    tip_ts_ms_ = header.ts_ms;
    links_.push_back(std::move(link));
    return links_.back();
}

const Link* Chain::at(Slot slot) const {
    if (slot <= low_ || slot > tip_) return nullptr;
    return &links_[slot - low_ - 1];
}

std::optional<Digest> Chain::digest_at(Slot slot) const {
    if (slot == low_) return low_digest_;
    const Link* link = at(slot);
    if (link == nullptr) return std::nullopt;
    return link->prepare.hd;
}

// Takes back what append() counted for `header`.
void Chain::uncount(const Header& header, std::map<PartitionId, Seq>& next) const {
    for (const EntryHeader& entry : header.entries)
        for (PartitionId p : entry.parts) --next[p].value;
    if (!membership_.is_checkpoint(header.slot)) return;
    for (auto& [partition, seq] : next) --seq.value;
}

void Chain::truncate_to(Slot slot) {
    invariant(slot >= low_, "what is forgotten cannot be taken back");
    while (tip_ > slot) {
        uncount(*links_.back().prepare.header, next_seq_);
        links_.pop_back();
        tip_ = Slot(tip_.value - 1);
    }
    tip_digest_ = links_.empty() ? low_digest_ : links_.back().prepare.hd;
    tip_ts_ms_ = links_.empty() ? low_ts_ms_ : links_.back().prepare.header->ts_ms;
}

void Chain::restart_at(Slot slot, const Digest& hd, UnixMillis ts_ms,
                       std::map<PartitionId, Seq> next_seq) {
    links_.clear();
    low_ = tip_ = slot;
    low_digest_ = tip_digest_ = hd;
    low_ts_ms_ = tip_ts_ms_ = ts_ms;
    next_seq_ = std::move(next_seq);
}

std::map<PartitionId, Seq> Chain::next_seqs_at(Slot slot) const {
    std::map<PartitionId, Seq> next = next_seq_;
    for (Slot b = tip_; b > slot; b = Slot(b.value - 1)) uncount(*at(b)->prepare.header, next);
    return next;
}

void Chain::forget_up_to(Slot slot) {
    while (low_ < slot && !links_.empty()) {
        low_digest_ = links_.front().prepare.hd;
        low_ts_ms_ = links_.front().prepare.header->ts_ms;
        low_ = low_.next();
        links_.pop_front();
    }
}

}  // namespace bft::consensus
