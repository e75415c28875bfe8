#include "node/members.hpp"

#include "base/log.hpp"

namespace bft::node {

Members::Members(const ClusterFile& cluster)
    : cluster_(cluster),
      genesis_(cluster.membership()),
      now_(genesis_),
      version_(genesis_.version) {
    for (std::uint32_t h = 0; h < cluster.hosts.size(); ++h)
        hosts_[HostId(h)] = {cluster.hosts[h].name, cluster.hosts[h].address};
}

Result<void> Members::prepare_counters(usig::AllowSoftware allow) {
    auto verifier = usig::Verifier::make(cluster_.usig_identities(), allow);
    if (!verifier) return verifier.error();
    counters_.emplace(std::move(*verifier));
    return {};
}

std::optional<HostId> Members::host_of_key(ByteView key) const {
    for (const auto& [host, its_key] : now_.host_keys)
        if (std::ranges::equal(its_key, key)) return host;
    return std::nullopt;
}

bool Members::follow(const consensus::Configuration& configuration) {
    if (configuration.version <= version_) {
        // Of an engine that is behind: what was said before the newest one is judged, too.
        const std::size_t known = now_.later_keys.size();
        consensus::know_keys(now_, configuration);
        return now_.later_keys.size() != known;
    }
    version_ = configuration.version;
    consensus::follow(now_, configuration);
    for (const auto& [host, joined] : configuration.hosts)
        hosts_[host] = {joined.name, joined.address};
    if (!counters_) return true;
    for (const auto& [usig, bytes] : configuration.usigs) {
        auto identity = usig::decode_public_identity(std::string(bytes.begin(), bytes.end()));
        auto added = identity ? counters_->add(usig, *identity) : identity.error();
        if (!added)
            log::warn("member_not_heard counter={} what=\"{}\"", usig.value, added.error().what);
    }
    return true;
}

std::shared_ptr<const host::Directory> Members::directory(
    consensus::SignatureChecker& checker) const {
    return std::make_shared<const host::Directory>(now_, hosts_, checker);
}

}  // namespace bft::node
