#include "consensus/chain.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus {

Chain::Chain(const Membership& membership, std::optional<GroupId> group)
    : membership_(membership),
      group_(group),
      low_digest_(genesis_header_digest(membership.cluster)),
      tip_digest_(low_digest_) {
    for (const auto& [partition, owner] : membership.owners) next_seq_[partition] = Seq(1);
}

std::optional<std::string> Chain::why_invalid(const Header& header) const {
    if (header.slot != tip_.next()) return "V1: not the next slot";
    if (header.previous != tip_digest_) return "V1: another predecessor";
    if (header.ts_ms <= tip_ts_ms_) return "V5: time does not increase";
    for (const EntryHeader& entry : header.entries) {
        // Reconfiguration (V4: CONFIG alone in its slot, on partition 0) joins here.
        if (entry.kind != EntryKind::transaction) return "V4: unknown kind of entry";
        const auto& parts = entry.parts;
        if (parts.empty()) return "V3: no partitions";
        if (std::adjacent_find(parts.begin(), parts.end(), std::greater_equal<>()) != parts.end())
            return "V3: partitions not sorted and unique";
        if (!std::binary_search(parts.begin(), parts.end(), entry.rid.home))
            return "V3: home is not among the partitions";
        for (PartitionId p : parts)
            if (p.value == 0 || !membership_.owner(p)) return "V3: no such partition";
    }
    return std::nullopt;
}

const Link& Chain::append(Prepare prepare) {
    invariant(prepare.header != nullptr, "a link has its header");
    invariant(prepare.slot == tip_.next(), "the chain grows by one slot");
    const Header& header = *prepare.header;
    Link link{std::move(prepare), {}};
    for (std::uint32_t i = 0; i < header.entries.size(); ++i) {
        const EntryHeader& entry = header.entries[i];
        bool own = group_ && membership_.owner(entry.rid.home) == group_;
        OwnEntry mine{i, {}};
        for (PartitionId p : entry.parts) {
            Seq& next = next_seq_[p];
            if (own) mine.seqs.push_back({p, next});
            next = next.next();
        }
        if (own) link.own.push_back(std::move(mine));
    }
    // Database checkpoints join here: a slot b with b mod K = 0 carries one more, implicit entry
    // that touches every partition (section 3.14).
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

void Chain::forget_up_to(Slot slot) {
    while (low_ < slot && !links_.empty()) {
        low_digest_ = links_.front().prepare.hd;
        low_ = low_.next();
        links_.pop_front();
    }
}

}  // namespace bft::consensus
