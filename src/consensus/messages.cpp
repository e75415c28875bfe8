#include "consensus/messages.hpp"

#include "consensus/engine.hpp"

namespace bft::consensus {

std::string to_string(const Endpoint& endpoint) {
    switch (endpoint.role) {
        case Endpoint::Role::primary:
            return "primary." + std::to_string(endpoint.index);
        case Endpoint::Role::replica:
            return "replica." + std::to_string(endpoint.group.value) + "." +
                   std::to_string(endpoint.index);
        case Endpoint::Role::voter:
            return "voter." + std::to_string(endpoint.index);
        case Endpoint::Role::client:
            return "client." + std::to_string(endpoint.client.value);
    }
    return "nobody";
}

const char* to_string(Event::Kind kind) {
    switch (kind) {
        case Event::Kind::slot_prepared:
            return "slot_prepared";
        case Event::Kind::slot_appended:
            return "slot_appended";
        case Event::Kind::committed:
            return "committed";
        case Event::Kind::group_committed:
            return "group_committed";
        case Event::Kind::sender_dead:
            return "sender_dead";
        case Event::Kind::gap:
            return "gap";
        case Event::Kind::body_missing:
            return "body_missing";
        case Event::Kind::duplicate_ordered:
            return "duplicate_ordered";
        case Event::Kind::disagreement:
            return "disagreement";
        case Event::Kind::nondeterminism:
            return "nondeterminism";
        case Event::Kind::order_conflict:
            return "order_conflict";
        case Event::Kind::dropped:
            return "dropped";
    }
    return "unknown";
}

}  // namespace bft::consensus
