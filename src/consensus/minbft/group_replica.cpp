#include "consensus/minbft/group_replica.hpp"

#include <algorithm>
#include <iterator>

namespace bft::consensus::minbft {

namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
    if (from.empty()) return;
    if (to.empty()) {
        to = std::move(from);
        return;
    }
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

GroupReplica::GroupReplica(const Membership& membership, GroupId group, Position position,
                           ReplicaOptions options, ExecutorOptions executor_options, Signer& signer)
    : agreement_(membership, group, position, options, signer),
      executor_(agreement_.membership(), group, position, executor_options) {}

Result<void> GroupReplica::recover(Replica::Recovered log,
                                   const std::optional<std::pair<Digest, Ui>>& last) {
    auto recovered = agreement_.recover(std::move(log), last);
    if (recovered) absorb(agreement_.take_output(), Now{});
    return recovered;
}

void GroupReplica::receive(const Verified& message, Now now) {
    const Payload& payload = message.payload();
    const auto* body = std::get_if<Body>(&payload);
    bool for_executor = std::holds_alternative<DbReply>(payload) ||
                        std::holds_alternative<VoterStatus>(payload) ||
                        std::holds_alternative<FetchDbItems>(payload);
    if (const auto* status = std::get_if<VoterStatus>(&payload)) agreement_.note_voter(*status);
    if (for_executor) {
        executor_.receive(message, now);
    } else if (const auto* bodies = std::get_if<Bodies>(&payload);
               bodies != nullptr && message.from().role == Endpoint::Role::client) {
        bool elsewhere = false;
        for (const Body& each : bodies->bodies) {
            if (!agreement_.owns(each->id.home)) {
                answer_of_moved(*each);
                elsewhere = true;
            } else if (agreement_.delivered_before(each->id)) {
                executor_.answer_again(each->id, agreement_.finished(each->id), each->receipt);
            } else if (agreement_.refuses(*each)) {
                refuse(*each);
            }
        }
        if (elsewhere) show_barrier(message.from());
        agreement_.receive(message, now);
    } else if (body != nullptr && !agreement_.owns((*body)->id.home) &&
               message.from().role == Endpoint::Role::client) {
        answer_of_moved(**body);
        show_barrier(message.from());
    } else if (body != nullptr && agreement_.delivered_before((*body)->id)) {
        // R1: a client that asks again gets its reply again.
        if (message.from().role == Endpoint::Role::client)
            executor_.answer_again((*body)->id, agreement_.finished((*body)->id), (*body)->receipt);
    } else {
        if (body != nullptr && message.from().role == Endpoint::Role::client &&
            agreement_.refuses(**body))
            refuse(**body);
        agreement_.receive(message, now);
    }
    absorb(agreement_.take_output(), now);
}

// CF12: at the door already, and in words.
void GroupReplica::refuse(const Request& request) {
    const RequestId& rid = request.id;
    std::string who = "client " + std::to_string(rid.client.value);
    bool gone = agreement_.configs().newest().removed(rid.client);
    out_.send.push_back(
        {{Endpoint::of_client(rid.client)},
         Rejected{rid, Rejected::Reason::not_a_client,
                  gone ? who + " was removed from the cluster"
                       : who + " has another key since configuration " +
                             std::to_string(agreement_.configs().newest().version.value) +
                             " at the latest"}});
}

// CF8: what was delivered here is answered here; everything else is another group's now.
void GroupReplica::answer_of_moved(const Request& request) {
    if (agreement_.owes_answer(request.id))
        executor_.answer_again(request.id, false, request.receipt);
}

void GroupReplica::show_barrier(const Endpoint& client) {
    if (BarrierCertPtr barrier = agreement_.configs().barrier())
        out_.send.push_back({{client}, std::move(barrier)});
}

void GroupReplica::sealed(Ui ui, Now now) {
    agreement_.sealed(std::move(ui), now);
    absorb(agreement_.take_output(), now);
}

void GroupReplica::tick(Now now) {
    agreement_.tick(now);
    executor_.tick(now);
    absorb(agreement_.take_output(), now);
}

std::optional<TimePoint> GroupReplica::next_deadline() const {
    auto agreement = agreement_.next_deadline();
    auto executor = executor_.next_deadline();
    if (!agreement) return executor;
    if (!executor) return agreement;
    return std::min(*agreement, *executor);
}

// What agreement decided goes on to the executor; both speak with one voice.
void GroupReplica::absorb(Output output, Now now) {
    executor_.note_view(agreement_.view());
    executor_.note_config(agreement_.configs().newest().version, now);
    if (agreement_.take_adopted()) executor_.restart();
    for (const Delivery& delivery : output.deliver) executor_.deliver(delivery, now);
    Output after = executor_.take_output();
    agreement_.note_executed(executor_.executed(), executor_.answered());
    Output last = agreement_.take_output();
    for (Output* part : {&output, &after, &last}) {
        if (part->empty()) continue;
        append(out_.persist, std::move(part->persist));
        append(out_.send, std::move(part->send));
        append(out_.events, std::move(part->events));
        append(out_.deliver, std::move(part->deliver));
        if (part->voided) out_.voided = part->voided;
        append(out_.answered, std::move(part->answered));
        if (part->seal) out_.seal = std::move(part->seal);
    }
}

Output GroupReplica::take_output() {
    return std::exchange(out_, {});
}

}  // namespace bft::consensus::minbft
