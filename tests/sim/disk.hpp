// A node's durable log: records in order, group commit with latency; a crash keeps what was synced
// and any prefix of what was not.
#pragma once

#include "base/prng.hpp"
#include "consensus/fetch.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/minbft/replica.hpp"
#include "timeline.hpp"

#include <boost/container/deque.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

namespace bft::sim {

/// Of a mark: whoever came after it has said nothing before it.
inline Counter counter_at(const std::vector<Counter>& counters, std::size_t place) {
    return place < counters.size() ? counters[place] : Counter(0);
}

class SimDisk final : public consensus::LogReader {
public:
    SimDisk(Timeline& time, const consensus::Membership& membership, Duration sync_latency,
            Prng prng)
        : time_(time), membership_(membership), sync_latency_(sync_latency), prng_(prng) {}

    /// What lies more than `slots` before the newest snapshot is erased, as host/retention does;
    /// 0: nothing is. A primary has no snapshots: what it certified `slots` ago is not served.
    void retain(std::uint64_t slots, const consensus::Endpoint& owner) {
        retain_ = slots;
        owner_ = owner;
    }
    void append(std::vector<consensus::Persist> records, std::function<void()> durable);
    /// `tail`: so many synced records go, too (outside the model).
    void crash(std::size_t tail = 0);
    /// Everything is gone (T2).
    void lose();
    /// An old copy is put back (F7). False: no certificate is missing in it, so it was not done.
    bool roll_back(const consensus::Endpoint& self);
    /// Bits of a record change; checksums will tell who reads it (J3).
    void rot() { rotten_ = true; }
    [[nodiscard]] bool rotten() const { return rotten_; }
    /// The next sync fails, for whatever reason (J1, J2): `failed` instead of what it was for.
    void fail_next_sync(std::function<void()> failed) { failed_ = std::move(failed); }
    /// Drops what the product's retention drops: what is older than its snapshot
    /// of `retain` slots ago. Does nothing while somebody waits for a sync.
    void forget_old(const consensus::Endpoint& self, std::uint64_t retain);
    /// The same of a primary, whose restart begins at its newest NEW-VIEW.
    void forget_old_views(std::uint64_t retain);
    [[nodiscard]] std::size_t records() const { return records_.size(); }
    /// A sync takes so much longer until then (J4).
    void slow_until(TimePoint when, Duration extra) {
        slow_until_ = when;
        slow_ = extra;
    }
    /// A copy of another node's, as a crash would leave it.
    void clone(const SimDisk& other);
    /// Its owner lies: it serves no bodies.
    void hide_bodies() { hide_bodies_ = true; }

    [[nodiscard]] std::optional<consensus::Prepare> prepare(PrimaryId primary,
                                                            Counter cv) const override;
    [[nodiscard]] std::optional<consensus::Commit> vote(GroupId group, Position position,
                                                        Counter cv) const override;
    [[nodiscard]] std::optional<consensus::NewView> new_view(PrimaryId primary,
                                                             Counter cv) const override;
    [[nodiscard]] consensus::ViewChangePtr view_change(GroupId group, Position position,
                                                       Counter cv) const override;
    [[nodiscard]] consensus::HeaderPtr header(const Digest& hd) const override;
    [[nodiscard]] consensus::ViewCertPtr view_cert(const Digest& nvd) const override;
    [[nodiscard]] std::optional<consensus::VoidCert> void_cert(const consensus::StreamId& stream,
                                                               Counter cv) const override;
    [[nodiscard]] consensus::Body body(const Digest& rd) const override;
    [[nodiscard]] std::optional<Counter> next_from(const consensus::StreamId& stream,
                                                   Counter from) const override;

    [[nodiscard]] bool once_owned(GroupId group, PartitionId partition) const override {
        const auto& barriers = state().barriers;
        return std::any_of(barriers.begin(), barriers.end(), [&](const auto& each) {
            return each.second->config->owner(partition) == group;
        });
    }

    /// What recover() of the role that wrote this log gets.
    [[nodiscard]] consensus::minbft::Primary::Recovered primary_log(PrimaryId self) const;
    [[nodiscard]] consensus::minbft::Replica::Recovered replica_log(GroupId group,
                                                                    Position position) const;

    // For checkers: what survives.
    [[nodiscard]] bool has_body(const Digest& rd) const { return state().bodies.contains(rd); }
    [[nodiscard]] Slot snapshot_slot() const {
        return state().snapshot ? state().snapshot->slot : Slot(0);
    }
    /// The newest certificate's record may be lost (ADR 5), its intent never.
    [[nodiscard]] const std::optional<consensus::PrepareIntent>& prepare_intent() const {
        return state().prepare_intent;
    }
    [[nodiscard]] const std::optional<consensus::CommitIntent>& commit_intent() const {
        return state().commit_intent;
    }

private:
    /// What the records say together; pointers are into records_.
    struct State {
        std::map<std::pair<PrimaryId, Counter>, const consensus::Prepare*> prepares;
        std::map<std::pair<PrimaryId, Counter>, const consensus::NewViewRecord*> new_views;
        std::map<std::tuple<GroupId, Position, Counter>, const consensus::Commit*> commits;
        std::map<std::tuple<GroupId, Position, Counter>, consensus::ViewChangePtr> changes;
        std::unordered_map<Digest, consensus::HeaderPtr, DigestHash> by_digest;
        std::map<Digest, consensus::HeaderPtr> headers;  ///< of HeaderRecords
        std::map<Digest, consensus::ViewCertPtr> certs;
        std::unordered_map<Digest, consensus::Body, DigestHash> bodies;
        std::optional<consensus::PrepareIntent> prepare_intent;
        std::optional<consensus::NewViewIntent> new_view_intent;
        std::optional<consensus::CommitIntent> commit_intent;
        std::optional<consensus::ViewChangeIntent> change_intent;
        std::optional<consensus::ViewRecord> view;
        std::optional<consensus::VouchRecord> vouches;
        std::optional<consensus::StableCert> stable;
        consensus::SnapshotPtr snapshot;
        std::optional<consensus::StandingRecord> standing;
        std::map<std::pair<consensus::StreamId, Counter>, consensus::VoidCert> voids;
        std::vector<consensus::VoidPromiseRecord> promises;
        std::map<consensus::StreamId, consensus::EquivocationProof> equivocations;
        std::optional<consensus::StableCert> fork;
        std::map<Slot, consensus::BarrierCertPtr> barriers;
        std::map<std::pair<Slot, GroupId>, consensus::HandoverRecord> handovers;
        Slot executed{};

        struct Mark {
            Slot slot{};
            std::vector<Counter> votes, ordering;
        };
        std::deque<Mark> marks;
        Slot newest_prepared{};
    };
    void cut(const consensus::SnapshotRecord& record) const;
    [[nodiscard]] bool served(const consensus::Prepare& prepare) const;
    struct Mark {  ///< what a snapshot covered
        Slot slot{};
        std::vector<Counter> votes;     ///< by position
        std::vector<Counter> ordering;  ///< by primary
    };
    struct Sweep;
    void keep_only(const std::vector<bool>& stays);
    void note_snapshot(const consensus::LogRecord& record);
    void apply(const consensus::LogRecord& record) const;
    /// Most of what is written is never read.
    [[nodiscard]] const State& state() const {
        for (; applied_ < records_.size(); ++applied_) apply(records_[applied_]);
        return state_;
    }
    void read_again() {
        state_ = {};
        applied_ = 0;
    }
    void start_sync();
    void finish_sync(std::size_t upto);

    Timeline& time_;
    const consensus::Membership& membership_;
    Duration sync_latency_;
    Prng prng_;
    /// Blocks of many: a std::deque's hold one or two of these.
    boost::container::deque<consensus::LogRecord, void,
                            boost::container::deque_options_t<boost::container::block_size<64>>>
        records_;
    std::vector<Slot> generations_;  ///< of records_: the newest snapshot when each came
    std::deque<Mark> marks_;
    std::size_t synced_ = 0;  ///< of records_
    mutable State state_;  ///< of the first applied_ of them: a running process reads what it wrote
    mutable std::size_t applied_ = 0;
    std::uint64_t retain_ = 0;
    consensus::Endpoint owner_;
    bool hide_bodies_ = false;
    bool rotten_ = false;
    std::function<void()> failed_;
    TimePoint slow_until_{};
    Duration slow_{};
    bool syncing_ = false;
    std::uint64_t incarnation_ = 0;
    std::deque<std::pair<std::size_t, std::function<void()>>> waiting_;
};

}  // namespace bft::sim
