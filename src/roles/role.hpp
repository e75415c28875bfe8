// What the parts that a process may host have in common.
#pragma once

#include "consensus/configuration.hpp"
#include "host/clock.hpp"
#include "host/engine_host.hpp"
#include "host/exchange.hpp"
#include "roles/event_log.hpp"
#include "roles/page_generator.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

#include <functional>

namespace bft::roles {

/// Shared by all roles of a process; outlives them.
struct Environment {
    boost::asio::io_context& loop;
    const host::Clock& clock;
    /// What the cluster file says: engines begin with it, and with the log.
    const consensus::Membership& genesis;
    /// As of the newest configuration that an engine here follows. Of the loop's thread.
    const consensus::Membership& membership;
    consensus::Signer& signer;  ///< with this host's identity key
    host::Exchange& exchange;
    EventLog& events;
    host::Stages& stages;
    /// The process cannot go on: one line, then the end.
    std::function<void(Error)> fatal;
    /// Somebody wants each answer of a group (the HTTP front).
    bool observed = false;
    /// Of log and of answers that a database owes, for whoever is away.
    std::uint64_t retain_slots = 65536;
    PageCost page_cost;
    /// This process has a database that has not executed this configuration. May be empty.
    std::function<bool(ConfigVersion)> database_behind = {};
    /// An engine follows this configuration; called for every later one. May be empty.
    std::function<void(const consensus::Configuration&)> configured = {};
};

class Role {
public:
    virtual ~Role() = default;
    /// After recovery, when the links may be used.
    virtual void start() = 0;
    /// Sockets should not be read: what is in the works must go out first.
    [[nodiscard]] virtual bool congested() const = 0;
    /// For `bftctl status`.
    [[nodiscard]] virtual boost::json::object report() const = 0;
    /// Answers that differed from what f+1 agreed on, by host.
    virtual void add_disagreements(std::map<HostId, std::uint64_t>&) const {}
};

/// Hooks of an engine's pump as every role wires them.
host::EngineHostHooks engine_hooks(Environment& environment);

}  // namespace bft::roles
