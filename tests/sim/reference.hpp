// The reference: the one chain, what each entry of it must be, and its serial execution.
#pragma once

#include "consensus/client_window.hpp"
#include "consensus/configuration.hpp"
#include "consensus/membership.hpp"
#include "consensus/messages.hpp"
#include "database_state.hpp"
#include "operation.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bft::sim {

class Reference {
public:
    /// `exec_kept`: how many slots databases keep answers for.
    Reference(const consensus::Membership& membership, std::uint64_t exec_kept)
        : membership_(membership), exec_kept_(exec_kept) {
        configs_[Slot(0)] = consensus::configuration_of(membership);
    }

    struct Entry {
        consensus::EntryHeader header;
        GroupId owner{};
        consensus::DbItem item;  ///< kind and the rest only once decided
        consensus::Body body;    ///< once decided
        bool decided = false;
        bool null = false;  ///< decided, and as a no-op
        bool executed = false;
        consensus::ItemResult result;
    };
    struct SlotEntries {
        consensus::HeaderPtr header;
        Digest hd;
        std::vector<Entry> entries;
    };

    /// The chain's next slot, as the first group delivered it: from then on it is final.
    /// Returns what is wrong, if anything (S-CFG).
    std::optional<std::string> append(const consensus::HeaderPtr& header, const Digest& hd);
    /// Who owns what at a slot (CF4); and after the last one that is known.
    [[nodiscard]] std::optional<GroupId> owner(Slot slot, PartitionId partition) const {
        return std::prev(configs_.lower_bound(std::max(slot, Slot(1))))->second.owner(partition);
    }
    [[nodiscard]] bool ever_owned(GroupId group, PartitionId partition) const;
    /// The configuration that a kept CONFIG at `slot` made; null: none did.
    [[nodiscard]] const consensus::Configuration* made_at(Slot slot) const {
        auto found = configs_.find(slot);
        return found == configs_.end() ? nullptr : &found->second;
    }
    /// In force for `slot`, as far as it is decided.
    [[nodiscard]] const consensus::Configuration& config(Slot slot) const {
        return std::prev(configs_.lower_bound(std::max(slot, Slot(1))))->second;
    }
    [[nodiscard]] const std::map<Slot, consensus::Configuration>& configs() const {
        return configs_;
    }
    [[nodiscard]] std::size_t configurations() const { return configs_.size() - 1; }
    [[nodiscard]] Slot tip() const { return base_ + slots_.size(); }
    /// Null for what is to come, and for what was forgotten.
    [[nodiscard]] const SlotEntries* slot(Slot slot) const {
        return slot <= base_ || slot > tip() ? nullptr : &slots_[slot - base_ - 1];
    }
    [[nodiscard]] const Entry* entry(Slot slot, std::uint32_t index) const;
    [[nodiscard]] std::size_t slots_kept() const { return slots_.size(); }

    /// `group` delivered its next slot; entries of `null` are no-ops. Returns what is wrong, if
    /// anything.
    std::optional<std::string> decide(GroupId group, Slot slot, const std::set<std::uint32_t>& null,
                                      const std::map<Digest, consensus::Body>& bodies);
    [[nodiscard]] Slot decided(GroupId group) const {
        auto found = decided_.find(group);
        return found == decided_.end() ? Slot(0) : found->second;
    }

    /// Executes an entry if that has not been done; its predecessors on all its partitions must
    /// have been executed. Returns what is wrong, if anything.
    std::optional<std::string> execute(Slot slot, std::uint32_t index);
    [[nodiscard]] const std::map<PartitionId, Seq>& next() const { return state_.next; }
    [[nodiscard]] const std::map<PartitionId, Rows>& rows() const { return state_.rows; }

    /// Somebody is going to scan at this checkpoint slot.
    void want_root(Slot slot);
    /// What the root of every database is there; nullopt: nobody wanted it in time, or not reached.
    [[nodiscard]] std::optional<Digest> root(Slot slot) const;
    /// Of everything executed so far: the partitions may be at different slots.
    [[nodiscard]] Digest root() const;

    /// A second, purely serial run in chain order over everything that was executed. Returns how it
    /// differs, if it does.
    [[nodiscard]] std::optional<std::string> serial_difference() const;

    /// Slots up to `low` that are executed are not asked for any more. Their
    /// serial execution is compared first; `gone` sees their entries. Returns how
    /// it differs, if it does.
    std::optional<std::string> forget(Slot low, const std::function<void(const Entry&)>& gone);

    /// Every decided entry has been executed.
    [[nodiscard]] bool complete(Slot up_to) const;

private:
    [[nodiscard]] Entry checkpoint_entry(const consensus::Header& header, std::uint64_t seed);

    const consensus::Membership& membership_;
    std::uint64_t exec_kept_;
    [[nodiscard]] SlotEntries& at(Slot slot) { return slots_[slot - base_ - 1]; }
    Slot base_{};  ///< forgotten up to here
    std::deque<SlotEntries> slots_;
    std::map<PartitionId, Rows> serial_;  ///< of the serial execution up to there
    std::map<PartitionId, Seq> chain_next_;
    std::map<Slot, consensus::Configuration> configs_;  ///< by the slot after which it holds
    std::optional<Slot> undecided_config_;
    std::map<GroupId, Slot> decided_;
    std::map<std::pair<PartitionId, ClientId>, consensus::ClientWindow> windows_;
    DatabaseState state_;
    std::set<Slot> wanted_;
    std::map<Slot, Digest> roots_;  ///< the newest ones
};

}  // namespace bft::sim
