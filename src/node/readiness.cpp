#include "node/readiness.hpp"

#include <boost/json/value.hpp>

namespace bft::node {

namespace json = boost::json;

namespace {

std::uint64_t number(const json::object& from, const char* name) {
    const json::value* found = from.if_contains(name);
    if (found == nullptr) return 0;
    if (found->is_uint64()) return found->get_uint64();
    return found->is_int64() && found->get_int64() > 0
               ? static_cast<std::uint64_t>(found->get_int64())
               : 0;
}

bool boolean(const json::object& from, const char* name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_bool() && found->get_bool();
}

std::string text(const json::object& from, const char* name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

void add_replica(std::vector<std::string>& all, const json::object& replica) {
    const std::string who = "the replica of group " + std::to_string(number(replica, "group"));
    if (boolean(replica, "halted")) {
        all.push_back(who + " has halted: its state contradicts f+1 others");
        return;
    }
    if (boolean(replica, "hole"))
        all.push_back(who +
                      " certifies nothing: its TPM lost power in the middle of a certificate");
    if (!boolean(replica, "active")) {
        all.push_back(who + " waits for view " + std::to_string(number(replica, "view")) +
                      " to begin");
        return;
    }
    const std::uint64_t delivered = number(replica, "delivered");
    const std::uint64_t others = number(replica, "committed_by_others");
    if (others > delivered + Readiness::slots_behind_max)
        all.push_back(who + " catches up: at slot " + std::to_string(delivered) +
                      ", f+1 others at " + std::to_string(others));
}

// Slots of the own groups for which the database of this host owes answers.
std::uint64_t unanswered(const json::object& status, const json::object& voter) {
    const std::string own = std::to_string(number(voter, "id"));
    std::uint64_t most = 0;
    const json::value* replicas = status.if_contains("replicas");
    if (replicas == nullptr || !replicas->is_array()) return 0;
    for (const json::value& replica : replicas->get_array()) {
        const json::value* owed =
            replica.is_object() ? replica.get_object().if_contains("unanswered_slots_by_voter")
                                : nullptr;
        if (owed != nullptr && owed->is_object())
            most = std::max(most, number(owed->get_object(), own.c_str()));
    }
    return most;
}

}  // namespace

void Readiness::observe(std::uint64_t executed, std::uint64_t in_flight, TimePoint now) {
    const bool progress = executed != executed_ || in_flight == 0 || !working_;
    executed_ = executed;
    working_ = in_flight > 0;
    if (progress) progress_at_ = now;
}

std::vector<std::string> Readiness::reasons(const json::object& status, TimePoint now) const {
    std::vector<std::string> all;
    if (draining_) all.emplace_back("draining: an operator takes this host out");
    if (const json::value* replicas = status.if_contains("replicas");
        replicas != nullptr && replicas->is_array())
        for (const json::value& replica : replicas->get_array())
            if (replica.is_object()) add_replica(all, replica.get_object());
    const json::value* value = status.if_contains("voter");
    if (value == nullptr || !value->is_object()) return all;
    const json::object& voter = value->get_object();
    if (boolean(voter, "quarantined")) {
        all.emplace_back("the database is out of service and being rebuilt");
        return all;
    }
    if (boolean(voter, "halted"))
        all.push_back("the database was given up: " + text(voter, "trouble"));
    else if (voter.contains("database_up") && !boolean(voter, "database_up"))
        all.push_back("the database is away: " + text(voter, "trouble"));
    const std::uint64_t owed = unanswered(status, voter);
    if (owed > slots_unanswered_max)
        all.push_back("the database lags: it owes the answers of " + std::to_string(owed) +
                      " slots");
    else if (working_ && now - progress_at_ > stall_max)
        all.emplace_back("the database lags: it has finished nothing for more than 5 s");
    return all;
}

}  // namespace bft::node
