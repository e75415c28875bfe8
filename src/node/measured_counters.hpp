// Counters that measure how long their certificates take.
#pragma once

#include "host/clock.hpp"
#include "metrics/latency.hpp"
#include "usig/certifier.hpp"

#include <memory>
#include <utility>

namespace bft::node {

class MeasuredCounters final : public usig::Certifier {
public:
    MeasuredCounters(std::unique_ptr<usig::Certifier> counters, const host::Clock& clock)
        : counters_(std::move(counters)), clock_(clock) {}

    void create(UsigId identity, const Digest& digest, CreateCallback done) override {
        counters_->create(identity, digest,
                          [this, since = clock_.mono(),
                           done = std::move(done)](Result<consensus::Ui> certificate) {
                              if (certificate) latency_.add(clock_.mono() - since);
                              done(std::move(certificate));
                          });
    }
    void last(UsigId identity, StandingCallback done) override {
        counters_->last(identity, std::move(done));
    }
    void forsake(UsigId identity, Counter cv, StandingCallback done) override {
        counters_->forsake(identity, cv, std::move(done));
    }

    [[nodiscard]] const metrics::Latency& latency() const { return latency_; }

private:
    std::unique_ptr<usig::Certifier> counters_;  ///< drops outstanding callbacks when it goes
    const host::Clock& clock_;
    metrics::Latency latency_;
};

}  // namespace bft::node
