// The header chain: the order stream of slots that every replica of every group holds, and what is
// derived from it (protocol.md 3.2). Nobody transmits sequence numbers: they follow from here.
#pragma once

#include "consensus/configuration.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::consensus {

/// An entry that this group owns, with its derived sequence numbers.
struct OwnEntry {
    std::uint32_t index = 0;
    std::vector<PartitionSeq> seqs;
};

/// A slot in the chain.
struct Link {
    Prepare prepare;  ///< with header
    std::vector<OwnEntry> own;
    /// The implicit entry of a checkpoint slot, where this group speaks for partition 0.
    std::vector<PartitionSeq> checkpoint;
    bool config = false;  ///< it holds a CONFIG entry, whoever's

    [[nodiscard]] const EntryHeader& config_entry() const {
        return prepare.header->entries.front();
    }
};

/// ValidHeader(HB, cfg) of section 3.2, V1-V5, after the header (slot, hd, ts): why not, or
/// nullopt. Pure: every correct replica judges the same.
[[nodiscard]] std::optional<std::string> why_invalid_header(const Membership& membership,
                                                            const Header& header, Slot after,
                                                            const Digest& after_hd,
                                                            UnixMillis after_ts_ms);

class Chain {
public:
    /// `group`: whose entries are kept as own. A primary has no group and keeps none.
    /// `configs`: who owns what where; null: the cluster's first configuration everywhere.
    Chain(const Membership& membership, std::optional<GroupId> group,
          const ConfigHistory* configs = nullptr);

    [[nodiscard]] Slot tip() const { return tip_; }
    [[nodiscard]] const Digest& tip_digest() const { return tip_digest_; }
    [[nodiscard]] UnixMillis tip_ts_ms() const { return tip_ts_ms_; }
    /// The lowest slot that at() still knows is low() + 1.
    [[nodiscard]] Slot low() const { return low_; }

    /// why_invalid_header() for the slot after the tip.
    [[nodiscard]] std::optional<std::string> why_invalid(const Header& header) const;

    /// Requires !why_invalid(*prepare.header) and prepare.hd its digest.
    const Link& append(Prepare prepare);

    /// Null outside (low, tip].
    [[nodiscard]] const Link* at(Slot slot) const;
    /// The digest at `slot` in [low, tip]; the genesis digest at 0.
    [[nodiscard]] std::optional<Digest> digest_at(Slot slot) const;

    /// Takes the links beyond `slot` off again: a new view's chain goes on from there. Requires
    /// low() <= slot <= tip().
    void truncate_to(Slot slot);

    /// Begins anew after `slot`: recovery from a snapshot, a primary's new view.
    void restart_at(Slot slot, const Digest& hd, UnixMillis ts_ms,
                    std::map<PartitionId, Seq> next_seq);

    /// Next sequence number of each partition after `slot`, low() <= slot <= tip().
    [[nodiscard]] std::map<PartitionId, Seq> next_seqs_at(Slot slot) const;

    /// Forgets links up to `slot`; the derived state stays. (Checkpoints will call this with h.)
    void forget_up_to(Slot slot);

    /// Next sequence number of each partition, after the tip.
    [[nodiscard]] const std::map<PartitionId, Seq>& next_seqs() const { return next_seq_; }

private:
    [[nodiscard]] std::optional<GroupId> owner(Slot slot, PartitionId partition) const {
        return configs_ != nullptr ? configs_->owner(slot, partition)
                                   : membership_.owner(partition);
    }
    void uncount(const Header& header, std::map<PartitionId, Seq>& next) const;

    const Membership& membership_;
    std::optional<GroupId> group_;
    const ConfigHistory* configs_;
    std::deque<Link> links_;  // slots low+1 .. tip
    Slot low_{};
    Slot tip_{};
    Digest low_digest_;
    UnixMillis low_ts_ms_ = 0;
    Digest tip_digest_;
    UnixMillis tip_ts_ms_ = 0;
    std::map<PartitionId, Seq> next_seq_;
};

}  // namespace bft::consensus
