// bftctl enroll: challenges the TPMs of hosts that exist.
#include "node/bftctl.hpp"
#include "node/bftctl_targets.hpp"
#include "node/enrolment.hpp"
#include "node/join_file.hpp"

#include <cstdio>

namespace bft::node {
namespace {

struct Options {
    std::vector<std::string> places;
    std::vector<std::filesystem::path> authorities;
    std::vector<std::string> keys;
    std::string tcti;
};

/// All counters of a host have the key of its one TPM.
Result<std::vector<usig::PublicIdentity>> identities_of(const Target& target) {
    std::vector<usig::PublicIdentity> own;
    const auto take = [&](const ClusterIdentity& identity) {
        if (identity.host == target.config.host) own.push_back(identity.usig);
    };
    for (const ClusterIdentity& primary : target.cluster.primaries) take(primary);
    for (const ClusterGroup& group : target.cluster.groups)
        for (const ClusterIdentity& member : group.members) take(member);
    if (!target.cluster.host_id(target.config.host)) {
        auto join = load_join_file(join_file_of(target.config));
        if (!join) return join.error();
        for (const JoinFile::Counter& counter : join->all()) own.push_back(counter.usig);
    }
    for (const usig::PublicIdentity& identity : own)
        if (identity.key != own.front().key)
            return error(Errc::refused, "its counters have different keys");
    return own;
}

Result<Enrolment> enrol_host(const Target& target, const std::string& tcti, const TpmTrust& trust) {
    auto identities = identities_of(target);
    if (!identities) return identities.error();
    if (identities->front().scheme == usig::Scheme::software)
        return error(Errc::refused, "its counters are made by software: there is no TPM");
    auto secrets = usig::TpmSecrets::load(target.config.usig.secrets);
    if (!secrets) return secrets.error();
    auto tpm = usig::Connection::open(tcti.empty() ? target.config.usig.tcti : tcti);
    if (!tpm) return tpm.error();
    return enrol(**tpm, *secrets, {}, identities->front(), target.config.host, trust);
}

int run(const Options& options) {
    const auto targets = find_targets(options.places);
    if (!targets) {
        std::fprintf(stderr, "%s\n", targets.error().what.c_str());
        return exit_usage;
    }
    const auto trust = TpmTrust::make(options.authorities, options.keys);
    if (!trust || (!options.tcti.empty() && targets->size() != 1)) {
        std::fprintf(stderr, "bftctl: %s\n",
                     trust ? "--tcti is for one host" : trust.error().what.c_str());
        return exit_usage;
    }
    int status = exit_done;
    for (const Target& target : *targets) {
        if (target.cluster.host_id(target.config.host) &&
            !target.cluster.roles_of(target.config.host).contains(Role::usig))
            continue;
        const auto enrolled = enrol_host(target, options.tcti, *trust);
        if (enrolled) {
            std::printf("%-12s good: its key is in the TPM with the endorsement key %s, by %s\n",
                        target.config.host.c_str(), hex(enrolled->fingerprint).c_str(),
                        enrolled->vouched_by.c_str());
            continue;
        }
        std::fprintf(stderr, "%-12s %s\n", target.config.host.c_str(),
                     enrolled.error().what.c_str());
        const bool proven = enrolled.error().code == Errc::refused;
        status = proven ? exit_disagreement : std::max<int>(status, exit_failed);
    }
    return status;
}

}  // namespace

Command add_enroll(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "enroll", "Challenges hosts' TPMs to show that they are real and hold the cluster's keys");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, a host's folder, or node.toml, with usig.secrets in it")
        ->required();
    command->add_option("--tpm-ca", options->authorities,
                        "certificates (PEM) of the TPM manufacturers' authorities");
    command->add_option("--tpm-ek", options->keys,
                        "HOST=FINGERPRINT of an endorsement key that you know");
    command->add_option("--tcti", options->tcti,
                        "reaches the TPM another way, such as \"cmd:ssh HOST tpm2_send -T "
                        "device:/dev/tpmrm0\"");
    command->footer(
        "A secret is wrapped for the endorsement key of the manufacturer's certificate and the "
        "name of the\n"
        "cluster file's key; only a TPM that holds both can unwrap it. It convinces whoever runs "
        "it: run it\n"
        "on a machine that you trust, not on the host that it is about. `bftctl init --tpm-ca` "
        "does the same\n"
        "at once. The USIG service must not have the TPM, unless a resource manager shares it "
        "(/dev/tpmrm0).\n"
        "Exit status: 0 all are good; 1 a TPM cannot be asked; 2 wrong command line or file; 5 "
        "one is not\n"
        "what it should be, or nobody vouches for it.\n"
        "Example:\n  bftctl enroll cluster --tpm-ca manufacturer.pem");
    return [options] { return run(*options); };
}

}  // namespace bft::node
