// Unanimous void (T1v, section 1.4), the owner's side: a value of its trusted counter was spent,
// and a power cut took the certificate. Until every processor has promised never to count it, the
// owner certifies nothing: a later message would wait behind the hole for ever.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/membership.hpp"

#include <map>

namespace bft::consensus::minbft {

class VoidQuest {
public:
    VoidQuest(const Membership& membership, StreamId stream, Counter cv)
        : stream_(stream), cv_(cv) {
        for (const Endpoint& each : membership.processors(stream)) promises_[each];
    }

    [[nodiscard]] Counter cv() const { return cv_; }

    void take(const VoidPromise& promise) {
        if (promise.stream != stream_ || promise.cv != cv_) return;
        auto found = promises_.find(Endpoint::replica(promise.group, promise.position));
        if (found != promises_.end()) found->second = promise;
    }

    /// To whoever has not promised yet.
    [[nodiscard]] Send request() const {
        Send send{{}, VoidRequest{stream_, cv_}};
        for (const auto& [who, promise] : promises_)
            if (!promise) send.to.push_back(who);
        return send;
    }

    [[nodiscard]] std::optional<VoidCert> complete() const {
        VoidCert cert{stream_, cv_, {}};
        for (const auto& [who, promise] : promises_) {
            if (!promise) return std::nullopt;
            cert.promises.push_back(*promise);
        }
        return cert;
    }

    /// What the owner puts out once it is complete: durable, told, and its counter goes on.
    static void conclude(const Membership& membership, VoidCert cert, Output& out) {
        out.persist.push_back({VoidRecord{cert}});
        out.voided = cert.cv;
        out.events.push_back({Event::Kind::voided, owner_of(cert.stream), {}, cert.cv.value, {}});
        std::vector<Endpoint> all = membership.processors(cert.stream);
        out.send.push_back({std::move(all), std::move(cert)});
    }

private:
    StreamId stream_;
    Counter cv_;
    std::map<Endpoint, std::optional<VoidPromise>> promises_;  ///< in the order of processors()
};

}  // namespace bft::consensus::minbft
