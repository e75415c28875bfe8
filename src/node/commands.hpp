// What a running daemon does when somebody on its host tells it to (ControlServer), each act in the
// admin log.
#pragma once

#include "node/admin_log.hpp"
#include "node/control_server.hpp"
#include "node/readiness.hpp"
#include "roles/database_voter.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace bft::node {

class Commands {
public:
    /// `voter` may be null.
    Commands(AdminLog& log, Readiness& readiness, roles::DatabaseVoterRole* voter,
             const Digest& cluster, const Digest& application)
        : log_(log),
          readiness_(readiness),
          voter_(voter),
          cluster_(cluster),
          application_(application) {}

    /// `reply` is called once, now or later.
    ///   drain | undrain
    ///   log-level LEVEL
    ///   restart                     it is going to be restarted by whoever says so: for the record
    ///   audit SLOT                  have all databases scanned at that checkpoint slot
    ///   resync                      rebuild ours
    ///   snapshot begin SLOT         as audit, and keep ours open
    ///   snapshot head SLOT          database::SnapshotHead, once f_D+1 have signed it
    ///   snapshot chunk SLOT LEAF CHUNK
    ///   snapshot end SLOT OUTCOME   close it
    void obey(const Caller& caller, const std::string& line, const ControlServer::Reply& reply);

private:
    using Words = std::vector<std::string_view>;
    [[nodiscard]] Result<void> act(const Words& words);
    [[nodiscard]] Result<void> set_log_level(std::string_view level);
    [[nodiscard]] Result<Bytes> snapshot_head(std::uint64_t slot);

    AdminLog& log_;
    Readiness& readiness_;
    roles::DatabaseVoterRole* voter_;
    Digest cluster_;
    Digest application_;
};

}  // namespace bft::node
