#include "rig.hpp"

#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <set>

namespace bft::bench {

using namespace consensus;
using std::chrono::nanoseconds;

namespace {

// A client has at most 256 requests under way in one partition.
constexpr std::size_t per_partition = 200;
constexpr std::uint32_t partitions_per_group = 16;
// A client signs at most so many requests at once.
constexpr std::size_t per_bundle = 512;
constexpr ClientId client(1);

/// Adds the CPU time of a scope to `sum` and `also`.
class Watch {
public:
    Watch(nanoseconds& sum, nanoseconds* also) : sum_(sum), also_(also), begin_(now()) {}
    ~Watch() {
        nanoseconds spent = now() - begin_;
        sum_ += spent;
        if (also_ != nullptr) *also_ += spent;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

private:
    static nanoseconds now() {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return std::chrono::seconds(t.tv_sec) + nanoseconds(t.tv_nsec);
    }
    nanoseconds& sum_;
    nanoseconds* also_;
    nanoseconds begin_;
};

class HashCounter {
public:
    static Ui certify(UsigId id, Counter cv, const Digest& digest) {
        return {cv, 0, make(id, cv, digest)};
    }
    static bool check(UsigId id, const Ui& ui, const Digest& digest) {
        return ui.certificate == make(id, ui.cv, digest);
    }

private:
    static Bytes make(UsigId id, Counter cv, const Digest& digest) {
        return to_bytes(Digester("ui").u32(id.value).u64(cv.value).digest(digest).finish().view());
    }
};

class KeySigner final : public Signer {
public:
    explicit KeySigner(const crypto::SigningKey& key) : key_(key) {}
    Bytes sign(const Digest& digest) override { return key_.sign(digest); }

private:
    const crypto::SigningKey& key_;
};

bool once_per_host(const Payload& payload) {
    return std::holds_alternative<Prepare>(payload);
}

}  // namespace

struct Rig::Host {
    explicit Host(const Membership& membership)
        : cache(HashCounter::check, crypto::verify), verifier(membership, cache) {}
    crypto::SigningKey key = crypto::SigningKey::generate();
    host::SignatureCache cache;
    Verifier verifier;
};

struct Rig::Node {
    Endpoint who;
    HostId host{};
    std::unique_ptr<Signer> signer;
    std::unique_ptr<Engine> engine;  ///< null: a voter
    std::unique_ptr<Voter> voter;
    Counter counter{};
};

Rig::Rig(RigOptions options) : options_(options), client_key_(crypto::SigningKey::generate()) {
    make_membership();
    make_nodes();
}
Rig::~Rig() = default;

// Hosts 0..f lead; hosts f+1..3f+1 have replicas, one of each group, and a voter.
void Rig::make_membership() {
    Membership& m = membership_;
    m.cluster = Digester("bench").finish();
    m.f = m.f_database = options_.f;
    m.checkpoint_slots = 64;
    std::uint32_t leaders = options_.f + 1;
    std::uint32_t members = 2 * options_.f + 1;
    for (std::uint32_t h = 0; h < leaders + members; ++h) {
        auto host = std::make_unique<Host>(m);
        m.host_keys[HostId(h)] = host->key.public_key();
        hosts_[HostId(h)] = std::move(host);
    }
    std::uint32_t usig = 0;
    for (std::uint32_t p = 0; p < leaders; ++p) m.primaries.push_back({HostId(p), UsigId(usig++)});
    for (std::uint32_t g = 0; g < options_.groups; ++g) {
        Group group{GroupId(g), {}};
        for (std::uint32_t j = 0; j < members; ++j)
            group.members.push_back({HostId(leaders + j), UsigId(usig++)});
        m.groups.push_back(group);
    }
    m.owners[PartitionId(0)] = GroupId(0);
    for (std::uint32_t p = 1; p <= partitions_per_group * options_.groups; ++p)
        m.owners[PartitionId(p)] = GroupId((p - 1) % options_.groups);
    if (options_.databases)
        for (std::uint32_t j = 0; j < members; ++j) m.voters.emplace_back(leaders + j);
    else
        m.f_database = 0;
    m.clients[client] = client_key_.public_key();
}

void Rig::make_nodes() {
    auto add = [&](const Endpoint& who) -> Node& {
        auto node = std::make_unique<Node>();
        node->who = who;
        node->host = *membership_.host_of(who);
        node->signer = std::make_unique<KeySigner>(hosts_.at(node->host)->key);
        return *(nodes_[who] = std::move(node));
    };
    for (const Endpoint& who : membership_.all_primaries()) {
        Node& node = add(who);
        node.engine = std::make_unique<minbft::Primary>(membership_, PrimaryId(who.index),
                                                        minbft::PrimaryOptions{}, *node.signer);
    }
    for (const Endpoint& who : membership_.all_replicas()) {
        Node& node = add(who);
        node.engine = std::make_unique<minbft::GroupReplica>(
            membership_, who.group, Position(who.index), minbft::ReplicaOptions{},
            minbft::ExecutorOptions{}, *node.signer);
    }
    for (const Endpoint& who : membership_.all_voters())
        add(who).voter = std::make_unique<Voter>(membership_, VoterId(who.index), VoterOptions{},
                                                 std::map<PartitionId, Seq>{});
}

Now Rig::now() const {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
    return {now_, static_cast<UnixMillis>(ms.count())};
}

std::vector<Body> Rig::make_requests(GroupId group, std::size_t first, std::size_t count) {
    std::vector<std::shared_ptr<Request>> requests;
    std::vector<Digest> rds;
    for (std::size_t i = 0; i < count; ++i) {
        Request fields;
        auto number =
            static_cast<std::uint32_t>((first + i) / per_partition % partitions_per_group);
        PartitionId home(1 + group.value + number * options_.groups);
        std::uint64_t cseq = ++cseqs_[home];
        fields.id = {client, home, ClientSeq(cseq)};
        fields.ack_low = ClientSeq(cseq > per_partition ? cseq - per_partition : 1);
        fields.parts = {home};
        fields.op = Bytes(options_.op_bytes, 'x');
        auto request =
            std::make_shared<Request>(*wire::decode_request(wire::encode_request(fields)));
        rds.push_back(request->rd);
        requests.push_back(std::move(request));
    }
    auto bundle = std::make_shared<SignedBundle>(SignedBundle{MerkleTree(rds), {}});
    bundle->signature =
        client_key_.sign(bundle_digest(membership_.cluster, client, bundle->tree.root()));
    std::vector<Body> bodies;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i]->bundle = bundle;
        requests[i]->bundle_index = static_cast<std::uint32_t>(i);
        requests[i]->bundle_count = static_cast<std::uint32_t>(count);
        waiting_[requests[i]->id] = 0;
        bodies.push_back(std::move(requests[i]));
    }
    return bodies;
}

bool Rig::serve(std::size_t count) {
    for (std::uint32_t g = 0; g < options_.groups; ++g) {
        // The rest of the division goes round, so that all groups get the same in the long run.
        std::size_t share =
            (count + (g + options_.groups - turn_ % options_.groups) % options_.groups) /
            options_.groups;
        std::vector<Endpoint> to = membership_.replicas(GroupId(g));
        for (const Endpoint& each : membership_.all_primaries()) to.push_back(each);
        for (std::size_t first = 0; first < share; first += per_bundle) {
            std::size_t size = std::min(per_bundle, share - first);
            send(Endpoint::of_client(client), {to, Bodies{make_requests(GroupId(g), first, size)}});
        }
    }
    ++turn_;
    cost_.requests += waiting_.size();
    // Interval and company of a batch pass by; then what is due goes on until all is answered.
    for (int step = 0; step < 100 && !waiting_.empty(); ++step) {
        settle();
        now_ += std::chrono::milliseconds(5);
        for (auto& [who, node] : nodes_) {
            if (!node->engine) continue;
            auto due = node->engine->next_deadline();
            if (!due || *due > now_) continue;
            {
                bool primary = who.role == Endpoint::Role::primary;
                Watch watch(primary ? cost_.primary : cost_.replicas,
                            node->host == HostId(0) ? &cost_.leader_host : nullptr);
                node->engine->tick(now());
            }
            perform(*node);
        }
    }
    settle();
    return waiting_.empty();
}

void Rig::settle() {
    while (!network_.empty()) {
        Frame frame = std::move(network_.front());
        network_.pop_front();
        arrive(frame);
    }
}

void Rig::send(const Endpoint& from, const Send& send) {
    std::optional<HostId> own = membership_.host_of(from);
    std::set<HostId> served;
    std::vector<Endpoint> away;
    for (const Endpoint& to : send.to) {
        if (to.role == Endpoint::Role::client || membership_.host_of(to) != own) {
            auto host = membership_.host_of(to);
            // One frame carries it to every replica of a host.
            if (!(host && once_per_host(send.payload) && !served.insert(*host).second))
                away.push_back(to);
        }
        if (to.role != Endpoint::Role::client) network_.push_back({from, to, send.payload});
    }
    if (away.empty()) return;
    nanoseconds unused{};
    bool leader = own == HostId(0);
    std::vector<Bytes> frames;
    {
        Watch watch(own ? cost_.codec : unused, leader ? &cost_.leader_host : nullptr);
        frames = wire::encode(from, away, send.payload);
    }
    for (std::size_t i = 0; i < frames.size(); ++i) {
        ++cost_.frames;
        cost_.bytes += frames[i].size();
        HostId host =
            away[i].role == Endpoint::Role::client ? HostId(0) : *membership_.host_of(away[i]);
        if (away[i].role == Endpoint::Role::client) continue;
        Watch watch(cost_.codec, host == HostId(0) ? &cost_.leader_host : nullptr);
        if (!wire::decode(frames[i])) std::abort();
    }
}

void Rig::arrive(const Frame& frame) {
    Node& node = *nodes_.at(frame.to);
    Host& host = *hosts_.at(node.host);
    nanoseconds* leader = node.host == HostId(0) ? &cost_.leader_host : nullptr;
    host::SignatureCache::Report before = host.cache.report();
    std::optional<Verified> verified;
    {
        Watch watch(cost_.verify, leader);
        auto result = host.verifier.verify({frame.from, frame.to, frame.payload});
        if (result) verified = std::move(*result);
    }
    host::SignatureCache::Report after = host.cache.report();
    cost_.certificate_checks += after.certificates - before.certificates;
    cost_.signature_checks += after.signatures - before.signatures;
    if (!verified) return;
    if (node.voter) {
        {
            Watch watch(cost_.voters, nullptr);
            node.voter->receive(*verified, now());
        }
        return perform_voter(node);
    }
    {
        bool primary = node.who.role == Endpoint::Role::primary;
        Watch watch(primary ? cost_.primary : cost_.replicas, leader);
        node.engine->receive(*verified, now());
    }
    perform(node);
}

void Rig::perform(Node& node) {
    bool primary = node.who.role == Endpoint::Role::primary;
    nanoseconds& engine = primary ? cost_.primary : cost_.replicas;
    nanoseconds* leader = node.host == HostId(0) ? &cost_.leader_host : nullptr;
    for (;;) {
        Output out;
        {
            Watch watch(engine, leader);
            out = node.engine->take_output();
        }
        bool durable = false;
        for (const Persist& persist : out.persist) {
            durable |= persist.durable;
            Watch watch(cost_.codec, leader);
            cost_.log_bytes += wire::encode_record(persist.record).size();
        }
        if (durable) ++cost_.durable;
        Replies replies;
        for (const Send& each : out.send) {
            if (const auto* reply = std::get_if<Reply>(&each.payload)) {
                count_reply(*reply);
                replies.replies.push_back(*reply);
            } else if (const auto* several = std::get_if<Replies>(&each.payload)) {
                for (const Reply& one : several->replies) count_reply(one);
                send(node.who, each);
            } else {
                send(node.who, each);
            }
        }
        if (primary) cost_.slots += out.seal ? 1 : 0;
        if (!replies.replies.empty()) send(node.who, {{Endpoint::of_client(client)}, replies});
        if (!out.seal) return;
        node.counter = node.counter.next();
        ++cost_.certificates;
        Ui ui =
            HashCounter::certify(*membership_.usig_of(node.who), node.counter, out.seal->digest);
        Watch watch(engine, leader);
        node.engine->sealed(std::move(ui), now());
    }
}

void Rig::perform_voter(Node& node) {
    for (;;) {
        VoterOutput out;
        {
            Watch watch(cost_.voters, nullptr);
            out = node.voter->take_output();
        }
        for (const Send& each : out.send) send(node.who, each);
        if (out.execute.empty()) return;
        std::vector<Executed> done;
        for (const Execution& execution : out.execute) {
            ItemResult result;
            result.index = execution.item.index;
            result.rid = execution.item.rid;
            result.result = Bytes(options_.result_bytes, 'r');
            result.has_result = true;
            result.rdig = result_digest(result.outcome, result.code, result.result);
            done.push_back({execution.group, execution.slot, result, execution.item.seqs});
        }
        Watch watch(cost_.voters, nullptr);
        node.voter->executed(done, now());
    }
}

void Rig::count_reply(const Reply& reply) {
    auto found = waiting_.find(reply.answer.rid);
    if (found != waiting_.end() && ++found->second > options_.f) waiting_.erase(found);
}

}  // namespace bft::bench
