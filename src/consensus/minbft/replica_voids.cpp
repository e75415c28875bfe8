// Unanimous void (T1v, section 1.4): as a processor of others' counters, and for the own one.
#include "consensus/minbft/replica.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

/// False when there is no such stream, or it is the own one.
template <class Act>
bool Replica::with_stream(const StreamId& id, Act act) {
    if (id.kind == StreamId::Kind::ordering) {
        if (id.primary.value >= ordering_.size()) return false;
        Ordering& from = ordering_[id.primary.value];
        act(from.stream, from.track);
        return true;
    }
    if (id.group != group_ || id.position == position_) return false;
    if (id.position.value >= votes_.size()) return false;
    Votes& from = votes_[id.position.value];
    act(from.stream, from.track);
    return true;
}

// Whoever has processed the value does not promise. The promise outlives a crash: it is durable
// before anybody sees it.
void Replica::on_void_request(const Endpoint& from, const VoidRequest& request) {
    if (from != owner_of(request.stream)) return;
    with_stream(request.stream, [&](auto& stream, auto&) {
        if (request.cv > stream.processed() + options_.window) return;
        if (stream.promise(request.cv)) promise_void(request.stream, request.cv);
    });
}

void Replica::promise_void(const StreamId& stream, Counter cv) {
    VoidPromise promise{stream, cv, group_, position_, {}};
    promise.signature = signer_.sign(void_promise_digest(membership_.cluster, promise));
    out_.persist.push_back({VoidPromiseRecord{stream, cv}});
    if (owner_of(stream) == self()) return;
    out_.send.push_back({{owner_of(stream)}, std::move(promise)});
}

void Replica::on_void_cert(const VoidCert& cert) {
    with_stream(cert.stream, [&](auto& stream, auto& track) {
        if (cert.cv <= stream.processed()) return;
        if (cert.cv > stream.processed() + options_.window) return;
        stream.prove_void(cert.cv);
        out_.persist.push_back({VoidRecord{cert}, false});
        track.processed = stream.processed();
    });
}

void Replica::on_void_promise(const VoidPromise& promise) {
    if (!quest_) return;
    quest_->take(promise);
    auto cert = quest_->complete();
    if (!cert) return;
    quest_.reset();
    own_voids_.push_back(*cert);
    VoidQuest::conclude(membership_, std::move(*cert), out_);
}

void Replica::ask_for_void() {
    if (!quest_) return;
    out_.send.push_back(quest_->request());
}

void Replica::recover_voids(const Recovered& log) {
    for (const VoidPromiseRecord& each : log.void_promises)
        with_stream(each.stream, [&](auto& stream, auto&) { stream.promise(each.cv); });
    for (const VoidCert& cert : log.voids)
        if (owner_of(cert.stream) == self()) own_voids_.push_back(cert);
    std::sort(own_voids_.begin(), own_voids_.end(),
              [](const VoidCert& a, const VoidCert& b) { return a.cv < b.cv; });
}

// A crash after the proof was complete, before the service knew: it is told again.
void Replica::recover_hole(const Recovered& log) {
    auto proven = std::find_if(own_voids_.begin(), own_voids_.end(),
                               [&](const VoidCert& cert) { return cert.cv == *log.hole; });
    if (proven != own_voids_.end()) {
        out_.voided = *log.hole;
        return;
    }
    out_.events.push_back({Event::Kind::hole, self(), {}, log.hole->value, {}});
    quest_.emplace(membership_, StreamId::vote(group_, position_), *log.hole);
}

}  // namespace bft::consensus::minbft
