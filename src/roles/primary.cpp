#include "roles/primary.hpp"

#include "base/log.hpp"

namespace bft::roles {

using consensus::Endpoint;

host::EngineHostHooks engine_hooks(Environment& environment) {
    host::EngineHostHooks hooks{
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
    hooks.stages = &environment.stages;
    return hooks;
}

// P7, T5: who cannot certify cannot lead; others can.
host::EngineHostHooks PrimaryRole::hooks(Environment& environment, Duration counter_patience) {
    host::EngineHostHooks hooks = engine_hooks(environment);
    hooks.counter_patience = counter_patience;
    hooks.advanced = [this] { follow_configs(); };
    hooks.counter_away = [this] {
        if (engine_.report().phase == consensus::minbft::Primary::Phase::idle) return;
        log::warn("resigned id={} view={} what=\"no certificate came in time\"", self_.value,
                  engine_.report().view.value);
        engine_.resign(clock_.now());
    };
    return hooks;
}

void PrimaryRole::follow_configs() {
    if (!configured_) return;
    while (consensus::BarrierCertPtr next = engine_.configs().after(told_)) {
        told_ = next->config->version;
        configured_(*next->config);
    }
}

PrimaryRole::PrimaryRole(Environment& environment, PrimaryId self,
                         consensus::minbft::PrimaryOptions options, usig::Certifier& certifier,
                         host::DurableLog& log, Duration counter_patience)
    : clock_(environment.clock),
      configured_(environment.configured),
      self_(self),
      told_(environment.genesis.version),
      log_(log),
      engine_(environment.genesis, self, options, environment.signer),
      host_(environment.loop, environment.clock, engine_, Endpoint::primary(self),
            environment.membership.primaries.at(self.value).usig, certifier, log,
            hooks(environment, counter_patience)),
      fetches_(environment.loop, environment.genesis, log, engine_hooks(environment).transmit) {
    environment.exchange.attach(host_.self(), [this](const consensus::Verified& message) {
        if (!fetches_.serve(host_.self(), message)) host_.receive(message);
    });
}

Result<std::unique_ptr<PrimaryRole>> PrimaryRole::create(Environment& environment, PrimaryId self,
                                                         consensus::minbft::PrimaryOptions options,
                                                         usig::Certifier& certifier,
                                                         host::DurableLog& log,
                                                         const usig::Standing& standing,
                                                         Duration counter_patience) {
    auto logged = log.load_primary(self);
    if (!logged) return logged.error();
    std::unique_ptr<PrimaryRole> role(
        new PrimaryRole(environment, self, options, certifier, log, counter_patience));
    std::optional<std::pair<Digest, consensus::Ui>> certified;
    if (standing.last) certified.emplace(standing.last->digest, standing.last->ui);
    logged->hole = standing.hole;
    std::size_t prepares = logged->prepares.size();
    if (auto recovered = role->engine_.recover(std::move(*logged), certified); !recovered)
        return recovered.error();
    role->follow_configs();
    log::info("primary_ready id={} view={} prepares={} counter={}", self.value,
              role->engine_.report().view.value, prepares,
              standing.last ? standing.last->ui.cv.value : 0);
    return role;
}

void PrimaryRole::start() {
    host_.start();
}

bool PrimaryRole::congested() const {
    return host_.waiting() > host::EngineHost::outputs_max ||
           log_.backlog_bytes() > host::DurableLog::backlog_bytes_max;
}

namespace {

const char* to_string(consensus::minbft::Primary::Phase phase) {
    switch (phase) {
        case consensus::minbft::Primary::Phase::idle:
            return "idle";
        case consensus::minbft::Primary::Phase::collecting:
            return "collecting";
        case consensus::minbft::Primary::Phase::active:
            return "active";
    }
    return "?";
}

}  // namespace

boost::json::object PrimaryRole::report() const {
    auto report = engine_.report();
    return {
        {"id", self_.value},
        {"view", report.view.value},
        {"phase", to_string(report.phase)},
        {"leading", report.phase == consensus::minbft::Primary::Phase::active},
        {"tip", report.tip.value},
        {"next_slot", report.tip.value + 1},
        {"pooled", report.pooled},
        {"ordered", report.ordered},
        {"config", engine_.configs().newest().version.value},
        {"outputs_waiting", host_.waiting()},
        {"fetches_served", fetches_.served()},
    };
}

}  // namespace bft::roles
