#include "client/hosts.hpp"

namespace bft::client {

Hosts::Hosts(const Config& config, consensus::Membership membership)
    : membership_(std::move(membership)) {
    for (std::uint32_t h = 0; h < config.hosts.size(); ++h) {
        hosts_[HostId(h)] = config.hosts[h];
        by_key_[config.hosts[h].key] = HostId(h);
    }
}

std::optional<HostId> Hosts::by_key(ByteView key) const {
    auto found = by_key_.find(to_bytes(key));
    return found == by_key_.end() ? std::nullopt : std::optional(found->second);
}

const Bytes* Hosts::key_of(HostId host) const {
    auto found = hosts_.find(host);
    return found == hosts_.end() ? nullptr : &found->second.key;
}

std::string Hosts::name_of(HostId host) const {
    auto found = hosts_.find(host);
    return found == hosts_.end() ? "host " + std::to_string(host.value) : found->second.name;
}

std::vector<Host> Hosts::follow(const consensus::Configuration& configuration) {
    std::vector<Host> fresh;
    consensus::follow(membership_, configuration);
    for (const auto& [id, joined] : configuration.hosts) {
        auto [host, is_new] = hosts_.try_emplace(id, Host{joined.name, joined.address, joined.key});
        if (!is_new) continue;
        by_key_.try_emplace(joined.key, id);
        fresh.push_back(host->second);
    }
    return fresh;
}

}  // namespace bft::client
