#include "thief.hpp"

#include "base/merkle.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::uint64_t asks_max = 50;
// Away from the numbers of the client itself, whose window such a request would move.
constexpr std::uint64_t first_number = 1'000'000;

}  // namespace

Thief::Thief(Cluster& cluster, ClientId as, Bytes key, Prng prng)
    : cluster_(cluster), as_(as), key_(std::move(key)), prng_(prng) {}

void Thief::start() {
    cluster_.time.after(Duration(prng_.below(60'000'000)), [this] {
        if (stopped_ || asked_ >= asks_max) return;
        ask();
        start();
    });
}

void Thief::ask() {
    const Membership& m = cluster_.membership;
    PartitionId home(static_cast<std::uint32_t>(prng_.between(1, cluster_.plan.partitions)));
    Request request;
    request.id = {as_, home, ClientSeq(first_number + ++asked_)};
    request.ack_low = request.id.cseq;
    request.parts = {home};
    request.key = key_name(key_);
    request.op = encode(prng_.next());
    request.raw = wire::encode_request(request);
    request.rd = request_digest(request.raw);
    request.signature =
        cluster_.tokens.sign(key_, bundle_digest(m.cluster, as_, merkle_root({request.rd})));
    auto body = std::make_shared<const Request>(std::move(request));
    cluster_.checker.requested(body);
    std::vector<Endpoint> to = m.replicas(*cluster_.configs.newest().owner(home));
    for (const Endpoint& primary : m.all_primaries()) to.push_back(primary);
    cluster_.network.send(Endpoint::of_client(as_), {to, Body(body)});
}

}  // namespace bft::sim
