// What `bftctl init` does with the TPM of one host.
#pragma once

#include "base/result.hpp"
#include "node/cluster_file.hpp"
#include "node/staging.hpp"
#include "node/topology.hpp"
#include "usig/provision.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bft::node {

/// Fresh counters of one TPM.
struct HostTpm {
    std::string tcti;
    std::optional<usig::ProvisionOptions> provisioned;  ///< nullopt for software
    std::vector<usig::PublicIdentity> identities;
};

/// Makes `count` counters, labelled with the cluster's random id, and stages under `home` the
/// secrets that entitle to them. `replace`: counters of an earlier cluster in this TPM die.
Result<HostTpm> make_counters(const TopologyHost& host, std::size_t count, ByteView cluster_id,
                              bool replace, Staging& staging, const std::filesystem::path& home);
/// Stages what entitles the roles of `host` to one counter each of its USIG service.
Result<void> write_tokens(const ClusterFile& cluster, const std::string& host, Staging& staging,
                          const std::filesystem::path& home);
/// Gives them back.
Result<void> remove_counters(const HostTpm& tpm);

}  // namespace bft::node
