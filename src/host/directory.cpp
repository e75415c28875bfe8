#include "host/directory.hpp"

#include "consensus/reign.hpp"

#include <algorithm>

namespace bft::host {

Directory::Directory(consensus::Membership membership, std::map<HostId, HostEntry> hosts,
                     consensus::SignatureChecker& checker)
    : membership_(std::move(membership)),
      hosts_(std::move(hosts)),
      peers_(membership_),
      verifier_(membership_, checker) {}

std::string Directory::name_of(HostId host) const {
    auto found = hosts_.find(host);
    return found != hosts_.end() ? found->second.name : "host " + std::to_string(host.value);
}

bool Directory::takes_part(HostId host) const {
    const consensus::Membership& m = membership_;
    const std::vector<PrimaryId> reign = consensus::reign_of(m);
    if (std::any_of(reign.begin(), reign.end(),
                    [&](PrimaryId each) { return m.primaries[each.value].host == host; }))
        return true;
    if (std::find(m.voters.begin(), m.voters.end(), host) != m.voters.end()) return true;
    return std::any_of(m.groups.begin(), m.groups.end(), [&](const consensus::Group& group) {
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.members[p].host == host && group.active(Position(p))) return true;
        return false;
    });
}

}  // namespace bft::host
