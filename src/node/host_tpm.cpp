#include "node/host_tpm.hpp"

#include "base/sha256.hpp"
#include "node/join_file.hpp"
#include "usig/connection.hpp"
#include "usig/protocol.hpp"
#include "usig/software_usig.hpp"

namespace bft::node {
namespace {

Result<HostTpm> make_software_counters(const std::string& tcti, std::size_t count, Staging& staging,
                                       const std::filesystem::path& home) {
    const std::filesystem::path file = tcti.substr(tcti.find(':') + 1);
    if (file.empty() || file.is_absolute())
        return error(Errc::malformed,
                     "software: must be followed by a file name without folder, as in "
                     "software:usig.software");
    const Result<std::filesystem::path> where = staging.place(home / file);
    if (!where) return where.error();
    auto identities = usig::SoftwareUsig::provision(*where, count);
    if (!identities) return identities.error();
    return HostTpm{tcti, std::nullopt, std::move(*identities)};
}

/// With --force a rebuilt cluster may take the TPM over.
Error with_hint(const Error& failure) {
    if (failure.code != Errc::refused) return failure;
    return error(failure.code, failure.what + " (bftctl init --force does)");
}

}  // namespace

Result<HostTpm> make_counters(const TopologyHost& host, std::size_t count, ByteView cluster_id,
                              bool replace, Staging& staging, const std::filesystem::path& home) {
    if (host.tcti.starts_with("software:"))
        return make_software_counters(host.tcti, count, staging, home);
    Result<usig::TpmSecrets> secrets = usig::TpmSecrets::generate();
    if (!secrets) return secrets.error();
    const Result<std::filesystem::path> file = staging.place(home / "usig.secrets");
    if (!file) return file.error();
    if (Result<void> saved = secrets->save(*file); !saved) return saved.error();

    auto tpm = usig::Connection::open(host.provision_tcti);
    if (!tpm) return tpm.error();
    usig::ProvisionOptions options;
    options.secrets = *secrets;
    options.label = Digester("tpm-label").bytes(cluster_id).text(host.name).finish();
    options.counters = count;
    options.replace = replace;
    auto identities = usig::provision(**tpm, options);
    if (!identities) {
        // Whatever was there before is not ours to remove.
        if (identities.error().code != Errc::refused)
            if (Result<void> removed = usig::unprovision(**tpm, options); !removed)
                return removed.error();
        return with_hint(identities.error());
    }
    return HostTpm{host.provision_tcti, options, std::move(*identities)};
}

Result<void> write_tokens(const ClusterFile& cluster, const std::string& host, Staging& staging,
                          const std::filesystem::path& home) {
    const consensus::Membership membership = cluster.membership();
    const std::optional<HostId> self = cluster.host_id(host);
    usig::protocol::Tokens tokens;
    const auto add = [&](const consensus::Member& member) -> Result<void> {
        if (member.host != self) return {};
        Result<usig::protocol::Token> token = usig::protocol::new_token();
        if (!token) return token.error();
        tokens.emplace(member.usig, *token);
        return {};
    };
    for (const consensus::Member& primary : membership.primaries)
        if (Result<void> done = add(primary); !done) return done;
    for (const consensus::Group& group : membership.groups)
        for (const consensus::Member& member : group.members)
            if (Result<void> done = add(member); !done) return done;
    for (const usig::PublicIdentity& spare : cluster.host(*self).spare_counters) {
        Result<usig::protocol::Token> token = usig::protocol::new_token();
        if (!token) return token.error();
        tokens.emplace(late_id(spare), *token);
    }
    if (tokens.empty()) return {};
    const Result<std::filesystem::path> file = staging.place(home / "usig.tokens");
    if (!file) return file.error();
    return usig::protocol::save_tokens(*file, tokens);
}

Result<void> remove_counters(const HostTpm& tpm) {
    if (!tpm.provisioned) return {};
    auto connection = usig::Connection::open(tpm.tcti);
    if (!connection) return connection.error();
    return usig::unprovision(**connection, *tpm.provisioned);
}

}  // namespace bft::node
