// What waits to be ordered: FIFO per client, fair between groups and between a group's clients
// (P2).
#pragma once

#include "consensus/messages.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace bft::consensus::minbft {

class RequestPool {
public:
    explicit RequestPool(std::uint32_t per_client) : per_client_(per_client) {}

    enum class Added : std::uint8_t { yes, known, full };
    /// Pools `body`, whose owner group is `group`, unless its rid waits already or the client has
    /// its share of the pool.
    Added add(GroupId group, Body body);

    /// The next request in fair order of a group with `credit(group)` > 0; nullopt when none.
    template <class Credit>
    std::optional<Body> take(Credit&& credit) {
        // Round-robin: the group after the one served last, then within it the client after the
        // last.
        for (std::size_t tried = 0; tried < groups_.size(); ++tried) {
            auto group = groups_.upper_bound(last_group_);
            if (group == groups_.end()) group = groups_.begin();
            last_group_ = group->first;
            if (!credit(group->first) || group->second.clients.empty()) continue;
            return take_from(group->second);
        }
        return std::nullopt;
    }

    void clear() {
        groups_.clear();
        waiting_.clear();
        size_ = 0;
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

private:
    struct Group {
        std::map<ClientId, std::deque<Body>> clients;  // no empty deques
        ClientId last_client{};
    };
    Body take_from(Group& group);

    std::uint32_t per_client_;
    std::map<GroupId, Group> groups_;
    GroupId last_group_{};
    std::set<RequestId> waiting_;
    std::size_t size_ = 0;
};

}  // namespace bft::consensus::minbft
