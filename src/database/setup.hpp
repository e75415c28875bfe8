// What must exist in a database before anything is executed: the bookkeeping tables (protocol.md
// section 3.10), the cluster that it belongs to, and the application's tables and procedures.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "catalog/application.hpp"
#include "consensus/configuration.hpp"
#include "consensus/messages.hpp"
#include "database/session.hpp"

#include <map>
#include <vector>

namespace bft::database {

/// CREATE DATABASE IF NOT EXISTS with the character set and binary collation that we require.
/// `session` may be connected without a database.
Result<void> create_database(Session& session, std::string_view name);

/// Creates the cbft_* tables that are missing and checks the version of those that are there, as
/// well as the database's character set.
Result<void> create_bookkeeping(Session& session);

/// Binds the database to one cluster and one of its voters, for ever. Errc::refused when it is
/// bound to another one.
Result<void> bind(Session& session, const Digest& cluster, VoterId voter);

/// Creates the application's tables and procedures and records its digest. Does nothing when that
/// is done already; Errc::refused when another application, or another version of it, is there. An
/// installation that was interrupted is begun again.
Result<void> install(Session& session, const catalog::Application& application);

/// Errc::not_found: none is installed; Errc::refused: another one is.
Result<void> check_installed(Session& session, const catalog::Application& application);

/// Takes the database's lock for this session, for as long as it is connected. Errc::refused when
/// somebody else holds it.
Result<void> lock_database(Session& session);
Result<void> lock_database(Session& session, const std::string& name);

/// cbft_part.
Result<std::map<PartitionId, Seq>> next_sequences(Session& session);

/// cbft_cfg: the newest configuration that was executed; null: the cluster's first one is in force.
Result<consensus::ConfigurationPtr> configuration(Session& session);

/// The rows of cbft_exec for `items` of `slot`; those without a row are left out.
Result<std::vector<consensus::ItemResult>> find_results(
    Session& session, Slot slot, const std::vector<consensus::DbItem>& items);

}  // namespace bft::database
