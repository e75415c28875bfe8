// The primary: orders the requests of all groups.
#pragma once

#include "consensus/minbft/primary.hpp"
#include "host/durable_log.hpp"
#include "host/engine_host.hpp"
#include "host/fetch_server.hpp"
#include "roles/role.hpp"

namespace bft::roles {

class PrimaryRole final : public Role {
public:
    /// Takes up what `log` and `last`, the counter's last certificate, know of an earlier
    /// incarnation. Errors say what the operator does.
    static Result<std::unique_ptr<PrimaryRole>> create(Environment& environment, PrimaryId self,
                                                       consensus::minbft::PrimaryOptions options,
                                                       usig::Certifier& certifier,
                                                       host::DurableLog& log,
                                                       const usig::Standing& standing,
                                                       Duration counter_patience);

    void start() override;
    [[nodiscard]] bool congested() const override;
    [[nodiscard]] boost::json::object report() const override;
    [[nodiscard]] const consensus::ConfigHistory& configs() const { return engine_.configs(); }

private:
    PrimaryRole(Environment& environment, PrimaryId self, consensus::minbft::PrimaryOptions options,
                usig::Certifier& certifier, host::DurableLog& log, Duration counter_patience);

    void follow_configs();
    host::EngineHostHooks hooks(Environment& environment, Duration counter_patience);

    const host::Clock& clock_;
    std::function<void(const consensus::Configuration&)> configured_;
    PrimaryId self_;
    ConfigVersion told_{};  ///< to Environment::configured
    host::DurableLog& log_;
    consensus::minbft::Primary engine_;
    host::EngineHost host_;
    host::FetchServer fetches_;
};

}  // namespace bft::roles
