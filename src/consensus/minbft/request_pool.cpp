#include "consensus/minbft/request_pool.hpp"

namespace bft::consensus::minbft {

RequestPool::Added RequestPool::add(GroupId group, Body body) {
    if (waiting_.contains(body->id)) return Added::known;
    auto& queue = groups_[group].clients[body->id.client];
    if (queue.size() >= per_client_) return Added::full;
    waiting_.insert(body->id);
    queue.push_back(std::move(body));
    ++size_;
    return Added::yes;
}

Body RequestPool::take_from(Group& group) {
    auto client = group.clients.upper_bound(group.last_client);
    if (client == group.clients.end()) client = group.clients.begin();
    group.last_client = client->first;
    Body body = std::move(client->second.front());
    client->second.pop_front();
    if (client->second.empty()) group.clients.erase(client);
    waiting_.erase(body->id);
    --size_;
    return body;
}

}  // namespace bft::consensus::minbft
