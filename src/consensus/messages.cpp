#include "consensus/messages.hpp"

#include "consensus/engine.hpp"

#include <algorithm>

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

View newest_view(const Payload& payload) {
    View newest{};
    const auto note = [&](View view) { newest = std::max(newest, view); };
    if (const auto* prepare = std::get_if<Prepare>(&payload)) note(prepare->view);
    if (const auto* commit = std::get_if<Commit>(&payload)) note(commit->view);
    if (const auto* new_view = std::get_if<NewView>(&payload)) note(new_view->view);
    if (const auto* cert = std::get_if<ViewCertPtr>(&payload)) note((*cert)->new_view.view);
    if (const auto* change = std::get_if<ViewChangePtr>(&payload)) note((*change)->view);
    if (const auto* changes = std::get_if<ViewChanges>(&payload))
        for (const ViewChangePtr& each : changes->messages) note(each->view);
    if (const auto* found = std::get_if<Certificates>(&payload)) {
        for (const Prepare& each : found->prepares) note(each.view);
        for (const NewView& each : found->new_views) note(each.view);
        for (const Commit& each : found->commits) note(each.view);
        for (const ViewChangePtr& each : found->view_changes) note(each->view);
    }
    return newest;
}

RequestProof proof_of(const Request& request) {
    if (!request.bundle) return {request.bundle_path, request.signature};
    // A place that the bundle has not: nothing proves it, and no Verifier takes it.
    if (request.bundle_index >= request.bundle->tree.leaves().size())
        return {{}, request.bundle->signature};
    return {request.bundle->tree.path(request.bundle_index), request.bundle->signature};
}

Endpoint owner_of(const StreamId& stream) {
    if (stream.kind == StreamId::Kind::ordering) return Endpoint::primary(stream.primary);
    return Endpoint::replica(stream.group, stream.position);
}

const char* to_string(Suspicion why) {
    switch (why) {
        case Suspicion::request_not_ordered:
            return "request_not_ordered";
        case Suspicion::body_missing:
            return "body_missing";
        case Suspicion::silent:
            return "silent";
        case Suspicion::no_new_view:
            return "no_new_view";
        case Suspicion::dead:
            return "dead";
        case Suspicion::resigned:
            return "resigned";
        case Suspicion::slow_slots:
            return "slow_slots";
        case Suspicion::late_orders:
            return "late_orders";
        case Suspicion::overtaken:
            return "overtaken";
        case Suspicion::low_rate:
            return "low_rate";
        case Suspicion::clock_drift:
            return "clock_drift";
        case Suspicion::duplicates:
            return "duplicates";
    }
    return "unknown";
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
        case Event::Kind::skipped:
            return "skipped";
        case Event::Kind::duplicate_ordered:
            return "duplicate_ordered";
        case Event::Kind::disagreement:
            return "disagreement";
        case Event::Kind::nondeterminism:
            return "nondeterminism";
        case Event::Kind::equivocation:
            return "equivocation";
        case Event::Kind::order_conflict:
            return "order_conflict";
        case Event::Kind::hole:
            return "hole";
        case Event::Kind::voided:
            return "voided";
        case Event::Kind::suspected:
            return "suspected";
        case Event::Kind::view_entered:
            return "view_entered";
        case Event::Kind::new_view_sent:
            return "new_view_sent";
        case Event::Kind::new_view_accepted:
            return "new_view_accepted";
        case Event::Kind::view_active:
            return "view_active";
        case Event::Kind::nullified:
            return "nullified";
        case Event::Kind::checkpoint_stable:
            return "checkpoint_stable";
        case Event::Kind::halted:
            return "halted";
        case Event::Kind::dropped:
            return "dropped";
        case Event::Kind::database_stable:
            return "database_stable";
        case Event::Kind::database_differs:
            return "database_differs";
        case Event::Kind::quarantined:
            return "quarantined";
        case Event::Kind::transferring:
            return "transferring";
        case Event::Kind::transferred:
            return "transferred";
        case Event::Kind::gone:
            return "gone";
        case Event::Kind::state_wanted:
            return "state_wanted";
        case Event::Kind::state_adopted:
            return "state_adopted";
        case Event::Kind::counter_adopted:
            return "counter_adopted";
        case Event::Kind::config_ordered:
            return "config_ordered";
        case Event::Kind::config_in_force:
            return "config_in_force";
        case Event::Kind::partitions_taken:
            return "partitions_taken";
    }
    return "unknown";
}

}  // namespace bft::consensus
