#include "cluster.hpp"

#include "base/sha256.hpp"
#include "real_seals.hpp"

#include <cstdio>

namespace bft::sim {

using namespace consensus;

namespace {

/// Mutation: nobody looks at certificates.
class Lenient final : public SignatureChecker {
public:
    bool certified(UsigId, const Ui&, const Digest&) override { return true; }
    bool signed_by(ByteView, const Digest&, ByteView) override { return true; }
};

std::unique_ptr<Seals> make_seals(const Plan& plan, std::uint64_t secret) {
    if (!plan.real_crypto) return std::make_unique<TokenTable>(secret);
    return std::make_unique<RealSeals>(secret, plan.machines(), plan.clients + 1,
                                       plan.primaries + plan.groups * plan.replicas());
}

Membership make_membership(const Plan& plan, const Seals& seals) {
    Membership m;
    m.cluster = sha256(as_bytes("simulated cluster"));
    m.version = ConfigVersion(1);
    m.f = plan.f;
    m.f_database = plan.f_of_databases();
    m.checkpoint_slots = plan.checkpoint_slots;
    m.scan_slots = plan.scan_slots;
    std::uint32_t n = plan.replicas();
    std::uint32_t usig = 0;
    for (std::uint32_t p = 0; p < plan.primaries; ++p)
        m.primaries.push_back({HostId(plan.primary_machine(p)), UsigId(usig++)});
    for (std::uint32_t h = 0; h < plan.machines(); ++h)
        m.host_keys[HostId(h)] = seals.host_key(HostId(h));
    for (std::uint32_t g = 1; g <= plan.groups; ++g) {
        Group group{GroupId(g), {}};
        for (std::uint32_t j = 0; j < n; ++j) group.members.push_back({HostId(j), UsigId(usig++)});
        m.groups.push_back(std::move(group));
    }
    m.owners[PartitionId(0)] = GroupId(1);
    for (std::uint32_t p = 1; p <= plan.partitions; ++p)
        m.owners[PartitionId(p)] = GroupId(1 + p % plan.groups);
    for (std::uint32_t d = 0; d < plan.voters(); ++d) m.voters.push_back(HostId(d));
    m.admins = {2, {seals.admin_key(0), seals.admin_key(1), seals.admin_key(2)}};
    for (std::uint32_t c = 0; c <= plan.clients; ++c)
        m.clients[ClientId(c)] = seals.client_key(ClientId(c));
    return m;
}

Membership with_f(Membership membership, std::uint32_t f) {
    membership.f = f;
    return membership;
}

std::unique_ptr<SignatureChecker> make_lenient(const Plan& plan) {
    if (plan.mutation != Mutation::verifier_accepts_all) return nullptr;
    return std::make_unique<Lenient>();
}

}  // namespace

SignatureChecker& believe_all() {
    static Lenient lenient;
    return lenient;
}

const char* to_string(Moment moment) {
    switch (moment) {
        case Moment::persist:
            return "persist";
        case Moment::durable:
            return "durable";
        case Moment::certify:
            return "certify";
        case Moment::certified:
            return "certified";
        case Moment::send:
            return "send";
    }
    return "unknown";
}

void Trace::line(TimePoint now, const std::string& what) {
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
    std::printf("%10.3f ms  %s\n", static_cast<double>(us.count()) / 1000, what.c_str());
}

void Cluster::event(const Endpoint& node, const Event& event) {
    if (correct(node)) {
        checker.event(node, event);
        if (event.kind == Event::Kind::suspected) ++suspicions;
        if (event.kind == Event::Kind::view_entered && member(node)) ++views_entered;
        // A clock that is wrong by hours is somebody's fault.
        bool clock = plan.wrong_clocks && event.text.starts_with("clock_drift");
        if (event.kind == Event::Kind::suspected && nobody_to_blame && !clock)
            checker.fail("L-NOFALSE", to_string(node) + " suspects " + to_string(event.peer) +
                                          " without reason: " + event.text);
        reach(to_string(event.kind));
        if (event.kind == Event::Kind::suspected)
            reach("suspected: " + event.text.substr(0, event.text.find(':')));
        if (event.kind == Event::Kind::dropped) reach("dropped: " + event.text);
    }
    if (!listening()) return;
    std::string line = to_string(event.kind);
    if (event.slot.value != 0) line += " slot=" + std::to_string(event.slot.value);
    line += " count=" + std::to_string(event.count);
    if (event.peer != Endpoint{} && event.peer != node) line += " peer=" + to_string(event.peer);
    if (!event.text.empty()) line += " (" + event.text + ")";
    log(node, line);
}

std::vector<Endpoint> Cluster::peers(const Endpoint& replica) const {
    std::vector<Endpoint> others = membership.replicas(replica.group, Position(replica.index));
    const Group* last = configs.standing(replica.group);
    if (!others.empty() || last == nullptr) return others;
    for (std::uint32_t p = 0; p < last->members.size(); ++p)
        if (last->active(Position(p)) && p != replica.index)
            others.push_back(Endpoint::replica(replica.group, Position(p)));
    return others;
}

std::unique_ptr<SimTpm> Cluster::make_tpm() {
    TpmSpeed speed{plan.tpm_latency, plan.tpm_jitter, plan.tpm_void_permille,
                   plan.tpm_error_permille, plan.holes ? 500u : 0u};
    return std::make_unique<SimTpm>(time, tokens, checker, speed, split());
}

// Voids spoil an ordering counter for the view that it is in (P7): that is a fault of its own.
void Cluster::spare_orderers() {
    for (const Member& primary : membership.primaries)
        tpms[primary.host.value]->never_voids(primary.usig);
}

bool Cluster::configured(const BarrierCertPtr& barrier) {
    if (!configs.skip_to(barrier)) return false;
    follow(membership, configs.newest());
    for (const auto& [host, key] : configs.newest().hosts) {
        if (host.value < tpms.size()) continue;
        clocks.resize(host.value + 1);
        while (tpms.size() <= host.value) tpms.push_back(make_tpm());
    }
    spare_orderers();
    return true;
}

Cluster::Cluster(const Plan& the_plan, bool log)
    : plan(the_plan),
      prng(the_plan.seed),
      trace(log),
      seals(make_seals(plan, prng.next())),
      tokens(*seals),
      quirks(the_plan, [this](const std::string& what) { reach(what); }),
      membership(make_membership(plan, tokens)),
      genesis(membership),
      configs(membership),
      voter_membership(plan.mutation == Mutation::voters_trust_f ? with_f(membership, plan.f - 1)
                                                                 : membership),
      client_membership(plan.mutation == Mutation::client_trusts_one ? with_f(membership, 0)
                                                                     : membership),
      checker(membership, plan.byzantine, plan.exec_kept),
      lenient(make_lenient(plan)),
      verifier(membership, lenient ? *lenient : tokens),
      network(time, verifier, checker, plan.network, split()),
      clocks(plan.machines()) {
    for (std::uint32_t host = 0; host < plan.machines(); ++host) tpms.push_back(make_tpm());
    spare_orderers();
    checker.on_reach([this](const std::string& what) { reach(what); });
    network.on_deliver([this](const Endpoint& to, const Network::Packet& packet) {
        trace.mark(static_cast<std::uint64_t>(time.now().time_since_epoch().count()),
                   packet->payload().index() * 64 + to.index);
        if (auto node = nodes.find(to); node != nodes.end()) node->second->receive(packet);
    });
}

}  // namespace bft::sim
