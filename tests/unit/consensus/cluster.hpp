// A whole cluster in memory: engines, a network that delays and loses, counters, disks that forget
// what was not durable. One seed, one history. Checkers run on everything that engines put out.
#pragma once

#include "base/prng.hpp"
#include "consensus/fetch.hpp"
#include "consensus/minbft/group_replica.hpp"
#include "consensus/minbft/primary.hpp"
#include "fixture.hpp"

#include <functional>
#include <queue>
#include <set>

namespace bft::consensus::test {

/// What a node's log holds. Records after the last durable one may be lost in a crash.
class Disk final : public LogReader {
public:
    void write(const Persist& persist) {
        unsynced_.push_back(persist.record);
        if (persist.durable) sync();
    }
    void sync() {
        for (LogRecord& record : unsynced_) std::visit([&](auto& r) { apply(r); }, record);
        unsynced_.clear();
    }
    /// Keeps the first `kept` of the records that are not durable.
    void crash(std::size_t kept) {
        unsynced_.resize(std::min(kept, unsynced_.size()));
        sync();
    }
    [[nodiscard]] std::size_t unsynced() const { return unsynced_.size(); }

    [[nodiscard]] minbft::Primary::Recovered primary(PrimaryId id) const;
    [[nodiscard]] minbft::Replica::Recovered replica(GroupId group, Position position) const;

    [[nodiscard]] std::optional<VoidCert> void_cert(const StreamId& stream,
                                                    Counter cv) const override {
        return find(voids_, std::pair(stream, cv));
    }
    [[nodiscard]] std::optional<Prepare> prepare(PrimaryId p, Counter cv) const override {
        return find(prepares_, std::pair(p, cv));
    }
    [[nodiscard]] std::optional<NewView> new_view(PrimaryId p, Counter cv) const override {
        auto found = new_views_.find({p, cv});
        if (found == new_views_.end()) return std::nullopt;
        return found->second.new_view;
    }
    [[nodiscard]] std::optional<Commit> vote(GroupId g, Position j, Counter cv) const override {
        return find(commits_, std::tuple(g, j, cv));
    }
    [[nodiscard]] ViewChangePtr view_change(GroupId g, Position j, Counter cv) const override {
        return find(changes_, std::tuple(g, j, cv)).value_or(nullptr);
    }
    [[nodiscard]] HeaderPtr header(const Digest& hd) const override {
        return find(headers_, hd).value_or(nullptr);
    }
    [[nodiscard]] ViewCertPtr view_cert(const Digest& nvd) const override {
        return find(certs_, nvd).value_or(nullptr);
    }
    [[nodiscard]] std::optional<Counter> next_from(const StreamId& stream,
                                                   Counter from) const override;
    [[nodiscard]] Body body(const Digest& rd) const override {
        if (hide_bodies) return nullptr;
        return find(bodies_, rd).value_or(nullptr);
    }
    /// A bit of the newest snapshot flips.
    bool spoil() {
        if (!snapshot_) return false;
        SnapshotRecord spoilt = *snapshot_;
        spoilt.null_digest.bytes[0] ^= 1;
        snapshot_ = std::make_shared<const SnapshotRecord>(std::move(spoilt));
        return true;
    }
    [[nodiscard]] bool has_body(const Digest& rd) const { return bodies_.contains(rd); }

    Membership const* membership = nullptr;
    Endpoint owner;
    /// The log goes back so many slots from the newest snapshot; 0: to the beginning.
    std::uint64_t retain = 0;
    bool hide_bodies = false;  ///< a liar's disk: its owner does not serve bodies

private:
    template <class M, class K>
    static std::optional<typename M::mapped_type> find(const M& map, const K& key) {
        auto found = map.find(key);
        if (found == map.end()) return std::nullopt;
        return found->second;
    }
    void apply(const BodyRecord& r) { bodies_[r.body->rd] = r.body; }
    void apply(const SlotBodiesRecord& r) {
        for (const Body& body : r.bodies) bodies_[body->rd] = body;
    }
    void apply(const PrepareRecord& r) {
        prepares_[{membership->primary_of(r.prepare.view), r.prepare.ui.cv}] = r.prepare;
        headers_[r.prepare.hd] = r.prepare.header;
    }
    void apply(const PrepareIntent& r) {
        prepare_intent_ = r;
        new_view_intent_.reset();
    }
    void apply(const CommitIntent& r) {
        commit_intent_ = r;
        change_intent_.reset();
    }
    void apply(const CommitRecord& r) {
        commits_[{r.commit.group, r.commit.position, r.commit.ui.cv}] = r.commit;
    }
    void apply(const ExecutedRecord& r) { executed_ = r.slot; }
    void apply(const NewViewRecord& r) {
        new_views_[{membership->primary_of(r.new_view.view), r.new_view.ui.cv}] = r;
    }
    void apply(const NewViewIntent& r) {
        new_view_intent_ = r;
        prepare_intent_.reset();
    }
    void apply(const ViewChangeRecord& r) {
        changes_[{r.change->group, r.change->position, r.change->ui.cv}] = r.change;
    }
    void apply(const ViewChangeIntent& r) {
        change_intent_ = r;
        commit_intent_.reset();
    }
    void apply(const HeaderRecord& r) { headers_[header_digest(*r.header)] = r.header; }
    void apply(const ViewCertRecord& r) {
        certs_[new_view_digest(membership->cluster, r.cert->new_view)] = r.cert;
    }
    void apply(const ViewRecord& r) { view_ = r; }
    void apply(const VouchRecord& r) { vouches_ = r; }
    void apply(const StableRecord& r) { stable_ = r.cert; }
    void apply(const SnapshotPtr& r) {
        snapshot_ = r;
        if (retain > 0) cut();
    }
    void cut();
    void apply(const StandingRecord& r) { standing_ = r; }
    void apply(const VoidPromiseRecord& r) { promises_.push_back(r); }
    void apply(const EquivocationRecord& r) { equivocations_[r.proof.stream] = r.proof; }
    void apply(const ForkRecord& r) { fork_ = r.other; }
    void apply(const BarrierRecord& r) { barriers_.push_back(r.barrier); }
    void apply(const HandoverRecord& r) { handovers_.push_back(r); }
    void apply(const VoidRecord& r) { voids_[{r.cert.stream, r.cert.cv}] = r.cert; }

    std::vector<LogRecord> unsynced_;
    std::map<std::pair<PrimaryId, Counter>, Prepare> prepares_;
    std::map<std::pair<PrimaryId, Counter>, NewViewRecord> new_views_;
    std::map<std::tuple<GroupId, Position, Counter>, Commit> commits_;
    std::map<std::tuple<GroupId, Position, Counter>, ViewChangePtr> changes_;
    std::map<Digest, HeaderPtr> headers_;
    std::map<Digest, ViewCertPtr> certs_;
    std::map<Digest, Body> bodies_;
    std::map<std::pair<StreamId, Counter>, VoidCert> voids_;
    std::vector<VoidPromiseRecord> promises_;
    std::map<StreamId, EquivocationProof> equivocations_;
    std::optional<StableCert> fork_;
    std::optional<PrepareIntent> prepare_intent_;
    std::optional<NewViewIntent> new_view_intent_;
    std::optional<CommitIntent> commit_intent_;
    std::optional<ViewChangeIntent> change_intent_;
    std::optional<ViewRecord> view_;
    std::optional<VouchRecord> vouches_;
    std::optional<StableCert> stable_;
    SnapshotPtr snapshot_;
    struct Mark {
        Slot slot;
        std::vector<Counter> votes, ordering;
    };
    std::vector<Mark> marks_;
    std::optional<StandingRecord> standing_;
    std::vector<BarrierCertPtr> barriers_;
    std::vector<HandoverRecord> handovers_;
    Slot executed_{};
};

struct ClusterOptions {
    std::uint32_t groups = 2;
    std::uint32_t primaries = 2;
    std::uint64_t seed = 1;
    std::uint32_t drop_permille = 0;
    std::uint32_t hole_permille = 0;  ///< of crashes with an open draft: power cuts of the TPM
    Duration delay_max = 5ms;
    Duration seal_max = 3ms;
    std::uint64_t retain = 0;  ///< slots of log; 0: all
    std::set<Endpoint> liars;
    minbft::PrimaryOptions primary;
    minbft::ReplicaOptions replica;
    minbft::ExecutorOptions executor;
};

class Cluster {
public:
    explicit Cluster(ClusterOptions options);

    struct Node {
        Endpoint who;
        std::unique_ptr<minbft::Primary> primary;
        std::unique_ptr<minbft::GroupReplica> replica;
        std::unique_ptr<HashSigner> signer;
        Disk disk;
        UsigId usig{};
        Counter counter{};
        std::optional<std::pair<Digest, Ui>> last;
        bool draft_open = false;      ///< a draft waits for its certificate
        std::optional<Counter> hole;  ///< spent, and the certificate is lost
        bool up = true;
        bool spoiled = false;  ///< its disk lies: it may find itself corrupt (CK7)
        std::uint64_t incarnation = 0;
        std::optional<TimePoint> tick_at;
        // Ghosts of what it said, over all incarnations.
        std::map<View, std::pair<Digest, Counter>> accepted;
        View promised{};
        Counter promised_cv{};
        std::map<Event::Kind, std::uint64_t> seen;

        [[nodiscard]] Engine& engine() {
            return primary ? static_cast<Engine&>(*primary) : static_cast<Engine&>(*replica);
        }
    };

    void run_for(Duration time);
    /// Until `done`, or false after `limit`.
    bool run_until(const std::function<bool()>& done, Duration limit);

    Node& node(const Endpoint& who) { return *nodes_.at(who); }
    Node& primary(std::uint32_t p) { return node(Endpoint::primary(PrimaryId(p))); }
    Node& replica(std::uint32_t g, std::uint32_t j) {
        return node(Endpoint::replica(GroupId(g), Position(j)));
    }
    [[nodiscard]] std::vector<Endpoint> everyone() const;

    /// A new request on `parts`; sent to `to` (default: all primaries and the owner group), and
    /// again every second until it is answered.
    Body submit(std::vector<PartitionId> parts, std::vector<Endpoint> to = {});
    [[nodiscard]] bool answered(const Body& body) const { return answered_.contains(body->id); }
    [[nodiscard]] bool all_answered() const;

    void crash(const Endpoint& who);
    void restart(const Endpoint& who);
    /// The members of a group that the order has added begin, with the configuration and no more.
    void add(GroupId group, const BarrierCertPtr& barrier);
    /// Verifies and delivers; for forged messages.
    void inject(Endpoint from, Endpoint to, Payload payload);
    Ui certify(Node& node, const Digest& digest);

    [[nodiscard]] View view(std::uint32_t g, std::uint32_t j) {
        return replica(g, j).replica->agreement().view();
    }
    /// Events of this kind at all correct nodes.
    [[nodiscard]] std::uint64_t count(Event::Kind kind) const;
    [[nodiscard]] bool liar(const Endpoint& who) const { return options_.liars.contains(who); }

    /// Decides about each message: false drops it. May change the payload (of a liar).
    std::function<bool(const Endpoint& from, const Endpoint& to, Payload&)> network;
    /// Changes what a liar's engine puts out, before it is performed.
    std::function<void(Node&, Output&)> corrupt;

    Prng random;
    Membership m;
    std::string violation;  ///< the first one; empty: none

private:
    struct Task {
        TimePoint at;
        std::uint64_t order;
        std::function<void()> run;
        bool operator>(const Task& o) const {
            return std::pair(at, order) > std::pair(o.at, o.order);
        }
    };

    void trace(const std::string& what) const;
    void later(Duration delay, std::function<void()> run);
    Node& make(const Endpoint& who);
    void start(Node& node);
    void perform(Node& node);
    void check(Node& node, const Output& out);
    void check_delivery(Node& node, const Delivery& delivery);
    void send(const Endpoint& from, const Endpoint& to, Payload payload);
    void arrive(const Endpoint& from, const Endpoint& to, const Payload& payload);
    void answer_as_voter(const Endpoint& to, const Endpoint& voter, const CommitDb& commit);
    void arm(Node& node);
    void offer(const Body& body, const std::vector<Endpoint>& to);
    void violate(std::string what);
    [[nodiscard]] Now now() const;

    ClusterOptions options_;
    Membership genesis_;  ///< engines begin with it
    HashChecker checker_;
    Verifier verifier_;
    std::map<Endpoint, std::unique_ptr<Node>> nodes_;
    std::priority_queue<Task, std::vector<Task>, std::greater<>> tasks_;
    TimePoint now_ = TimePoint{} + 1h;
    std::uint64_t order_ = 0;
    std::map<std::uint32_t, std::map<PartitionId, Seq>> executed_to_;  ///< by voter
    std::map<PartitionId, std::uint64_t> cseqs_;
    std::map<RequestId, std::map<Digest, std::set<std::uint32_t>>> replies_;
    std::set<RequestId> answered_;
    std::vector<Body> submitted_;

    // Ghosts.
    std::map<Slot, Digest> chain_;
    std::map<std::tuple<GroupId, Slot, std::uint32_t>, DbItem> decisions_;
    std::map<RequestId, std::pair<Slot, std::uint32_t>> executed_;
    std::map<View, std::pair<Digest, Counter>> new_views_;
};

}  // namespace bft::consensus::test
