#include "roles/primary.hpp"

namespace bft::roles {

using consensus::Endpoint;

host::EngineHostHooks engine_hooks(Environment& environment) {
    return {
        [&environment](const Endpoint& from, consensus::Send send) {
            environment.exchange.transmit(from, std::move(send));
        },
        [&environment](const Endpoint& self, const consensus::Event& event) {
            environment.events.note(self, event);
        },
        {},
        [&environment](const Endpoint& self, const consensus::Reply& reply) {
            environment.exchange.observed(self, reply);
        },
        environment.fatal,
    };
}

PrimaryRole::PrimaryRole(Environment& environment, PrimaryId self,
                         consensus::minbft::PrimaryOptions options, usig::Certifier& certifier,
                         host::DurableLog& log)
    : self_(self),
      log_(log),
      engine_(environment.membership, self, options),
      host_(environment.loop, environment.clock, engine_, Endpoint::primary(self),
            environment.membership.primaries.at(self.value).usig, certifier, log,
            engine_hooks(environment)),
      fetches_(environment.loop, log, engine_hooks(environment).transmit) {
    environment.exchange.attach(host_.self(), [this](const consensus::Verified& message) {
        if (!fetches_.serve(host_.self(), message)) host_.receive(message);
    });
}

Result<std::unique_ptr<PrimaryRole>> PrimaryRole::create(
    Environment& environment, PrimaryId self, consensus::minbft::PrimaryOptions options,
    usig::Certifier& certifier, host::DurableLog& log, const std::optional<usig::Certified>& last) {
    auto logged = log.load_primary(self);
    if (!logged) return logged.error();
    std::unique_ptr<PrimaryRole> role(new PrimaryRole(environment, self, options, certifier, log));
    std::optional<std::pair<Digest, consensus::Ui>> certified;
    if (last) certified.emplace(last->digest, last->ui);
    std::size_t prepares = logged->prepares.size();
    auto recovered =
        role->engine_.recover({std::move(logged->prepares), std::move(logged->intent)}, certified);
    if (!recovered) return recovered.error();
    log::info("primary_ready id={} prepares={} counter={}", self.value, prepares,
              last ? last->ui.cv.value : 0);
    return role;
}

void PrimaryRole::start() {
    host_.start();
}

bool PrimaryRole::congested() const {
    return host_.waiting() > host::EngineHost::outputs_max ||
           log_.backlog_bytes() > host::DurableLog::backlog_bytes_max;
}

boost::json::object PrimaryRole::report() const {
    auto report = engine_.report();
    return {
        {"id", self_.value},
        {"view", report.view.value},
        {"tip", report.tip.value},
        {"next_slot", report.tip.value + 1},
        {"pooled", report.pooled},
        {"ordered", report.ordered},
        {"outputs_waiting", host_.waiting()},
        {"fetches_served", fetches_.served()},
    };
}

}  // namespace bft::roles
