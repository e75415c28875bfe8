#include "roles/event_log.hpp"

namespace bft::roles {

using consensus::Event;

namespace {

spdlog::level::level_enum level_of(Event::Kind kind) {
    switch (kind) {
        case Event::Kind::nondeterminism:
        case Event::Kind::order_conflict:
        case Event::Kind::equivocation:
        case Event::Kind::hole:
        case Event::Kind::halted:
        case Event::Kind::database_differs:
        case Event::Kind::quarantined:
            return spdlog::level::err;
        case Event::Kind::sender_dead:
        case Event::Kind::disagreement:
        case Event::Kind::suspected:
        case Event::Kind::nullified:
            return spdlog::level::warn;
        case Event::Kind::gap:
        case Event::Kind::body_missing:
        case Event::Kind::view_entered:
        case Event::Kind::new_view_sent:
        case Event::Kind::new_view_accepted:
        case Event::Kind::view_active:
        case Event::Kind::voided:
        case Event::Kind::dropped:
        case Event::Kind::database_stable:
        case Event::Kind::transferring:
        case Event::Kind::transferred:
        case Event::Kind::gone:
        case Event::Kind::state_wanted:
        case Event::Kind::state_adopted:
        case Event::Kind::counter_adopted:
        case Event::Kind::skipped:
        case Event::Kind::config_ordered:
        case Event::Kind::config_in_force:
        case Event::Kind::partitions_taken:
            return spdlog::level::info;
        case Event::Kind::slot_prepared:
        case Event::Kind::slot_appended:
        case Event::Kind::committed:
        case Event::Kind::group_committed:
        case Event::Kind::duplicate_ordered:
        case Event::Kind::checkpoint_stable:
            return spdlog::level::debug;
    }
    return spdlog::level::info;
}

// Admins sign each change, and a lying primary orders at most one in vain per view. How long every
// step of a change takes is read off these lines.
bool of_configuration(Event::Kind kind) {
    return kind == Event::Kind::config_ordered || kind == Event::Kind::config_in_force ||
           kind == Event::Kind::partitions_taken;
}

}  // namespace

void EventLog::note(const consensus::Endpoint& self, const Event& event) {
    auto kind = static_cast<std::size_t>(event.kind);
    if (kind >= event_kinds) return;
    ++counts_[kind];
    // "reason" or "reason: figures".
    if (event.kind == Event::Kind::suspected)
        ++suspicions_[event.text.substr(0, event.text.find(':'))];
    auto level = level_of(event.kind);
    if (!spdlog::should_log(level)) return;
    std::uint64_t suppressed = 0;
    if (level != spdlog::level::debug && level != spdlog::level::err &&
        !of_configuration(event.kind) && !limits_[kind].allow(clock_.now().mono, &suppressed))
        return;
    spdlog::log(level, "{} self={} peer={} slot={} count={} suppressed={} what=\"{}\"",
                consensus::to_string(event.kind), consensus::to_string(self),
                consensus::to_string(event.peer), event.slot.value, event.count, suppressed,
                event.text);
}

}  // namespace bft::roles
