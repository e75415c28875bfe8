#include "roles/group_replica.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <functional>

namespace bft::roles {

using consensus::Endpoint;

namespace {

consensus::minbft::ExecutorOptions executor_options(const Environment& environment) {
    consensus::minbft::ExecutorOptions options;
    options.observed = environment.observed;
    options.slots_behind = environment.retain_slots;
    return options;
}

}  // namespace

GroupReplicaRole::GroupReplicaRole(Environment& environment, GroupId group, Position position,
                                   consensus::minbft::ReplicaOptions options,
                                   usig::Certifier& certifier, host::DurableLog& log)
    : environment_(environment),
      group_(group),
      position_(position),
      log_(log),
      told_(environment.genesis.version),
      stages_(environment.stages),
      pages_(environment.loop, environment.page_cost),
      engine_(environment.genesis, group, position, options, executor_options(environment),
              environment.signer),
      host_(environment.loop, environment.clock, engine_, Endpoint::replica(group, position),
            environment.membership.group(group)->members.at(position.value).usig, certifier, log,
            hooks()),
      fetches_(environment.loop, environment.genesis, log, engine_hooks(environment).transmit) {
    environment.exchange.attach(host_.self(),
                                [this](const consensus::Verified& message) { receive(message); });
}

GroupReplicaRole::~GroupReplicaRole() {
    environment_.exchange.detach(host_.self());
    log_.forget(host_.self());
}

void GroupReplicaRole::receive(const consensus::Verified& message) {
    if (fetches_.serve(host_.self(), message)) return;
    // What an admin hears when this host has caught up is not said while its database has not.
    if (const auto* asked = std::get_if<consensus::FetchConfig>(&message.payload());
        asked != nullptr && message.from().role == Endpoint::Role::client &&
        asked->version >= config().version && environment_.database_behind &&
        environment_.database_behind(config().version))
        return;
    consensus::Now now = environment_.clock.now();
    if (const auto* body = std::get_if<consensus::Body>(&message.payload()))
        stages_.requested((*body)->id, now.mono);
    if (const auto* bodies = std::get_if<consensus::Bodies>(&message.payload());
        bodies != nullptr && message.from().role == Endpoint::Role::client)
        for (const consensus::Body& each : bodies->bodies) stages_.requested(each->id, now.mono);
    if (const auto* commit = std::get_if<consensus::Commit>(&message.payload());
        commit != nullptr && commit->group == group_) {
        // Bounded: the sender has a place in the membership.
        if (commits_.size() <= commit->position.value) commits_.resize(commit->position.value + 1);
        Slot& newest = commits_[commit->position.value];
        newest = std::max(newest, commit->to);
    }
    host_.receive(message, now);
}

// Where the group is for sure: one of f+1 that say so is correct.
Slot GroupReplicaRole::committed_by_others() const {
    std::vector<Slot> slots;
    for (std::uint32_t j = 0; j < commits_.size(); ++j)
        if (config().active(group_, Position(j))) slots.push_back(commits_[j]);
    std::sort(slots.begin(), slots.end(), std::greater<>());
    const std::size_t quorum = environment_.membership.quorum();
    return quorum <= slots.size() ? slots[quorum - 1] : Slot(0);
}

// As every engine's, and the stages of transactions are measured.
host::EngineHostHooks GroupReplicaRole::hooks() {
    host::EngineHostHooks hooks = engine_hooks(environment_);
    hooks.event = [this, note = std::move(hooks.event)](const Endpoint& self,
                                                        const consensus::Event& event) {
        if (event.kind == consensus::Event::Kind::slot_appended)
            stages_.appended(event.slot, environment_.clock.mono());
        note(self, event);
    };
    hooks.delivered = [this](const Endpoint&, const consensus::Delivery& delivery) {
        if (!delivery.entries.empty()) stages_.delivered(delivery, environment_.clock.mono());
    };
    hooks.advanced = [this] { follow_configs(); };
    measure_answers(hooks);
    make_pages(hooks);
    return hooks;
}

void GroupReplicaRole::follow_configs() {
    if (!environment_.configured) return;
    const consensus::ConfigHistory& configs = engine_.agreement().configs();
    while (consensus::BarrierCertPtr next = configs.after(told_)) {
        told_ = next->config->version;
        environment_.configured(*next->config);
    }
}

void GroupReplicaRole::measure_answers(host::EngineHostHooks& hooks) {
    if (environment_.observed)
        hooks.answered = [this, tell = std::move(hooks.answered)](const Endpoint& self,
                                                                  const consensus::Reply& reply) {
            stages_.answered(reply.answer.rid, environment_.clock.mono());
            tell(self, reply);
        };
    else
        hooks.transmit = [this, send = std::move(hooks.transmit)](const Endpoint& from,
                                                                  consensus::Send message) {
            if (const auto* reply = std::get_if<consensus::Reply>(&message.payload))
                stages_.answered(reply->answer.rid, environment_.clock.mono());
            if (const auto* replies = std::get_if<consensus::Replies>(&message.payload))
                for (const consensus::Reply& each : replies->replies)
                    stages_.answered(each.answer.rid, environment_.clock.mono());
            send(from, std::move(message));
        };
}

// Answers over links only: the HTTP front makes real pages.
void GroupReplicaRole::make_pages(host::EngineHostHooks& hooks) {
    if (environment_.page_cost.cost == Duration::zero()) return;
    hooks.transmit = [this, send = std::move(hooks.transmit)](const Endpoint& from,
                                                              consensus::Send message) {
        const auto* reply = std::get_if<consensus::Reply>(&message.payload);
        if (reply == nullptr) return send(from, std::move(message));
        pages_.make(reply->answer.rid,
                    [send, from, message = std::move(message)] { send(from, message); });
    };
}

Result<std::unique_ptr<GroupReplicaRole>> GroupReplicaRole::create(
    Environment& environment, GroupId group, Position position,
    consensus::minbft::ReplicaOptions options, usig::Certifier& certifier, host::DurableLog& log,
    const usig::Standing& standing) {
    auto logged = log.load_replica(group, position);
    if (!logged) return logged.error();
    std::unique_ptr<GroupReplicaRole> role(
        new GroupReplicaRole(environment, group, position, options, certifier, log));

    std::optional<std::pair<Digest, consensus::Ui>> certified;
    if (standing.last) certified.emplace(standing.last->digest, standing.last->ui);
    logged->hole = standing.hole;
    if (auto done = role->engine_.recover(std::move(*logged), certified); !done)
        return done.error();
    role->follow_configs();
    auto report = role->engine_.agreement().report();
    log::info(
        "replica_ready group={} position={} view={} active={} tip={} committed={} delivered={} "
        "counter={}",
        group.value, position.value, report.view.value, report.active, report.tip.value,
        report.committed.value, report.delivered.value,
        standing.last ? standing.last->ui.cv.value : 0);
    return role;
}

void GroupReplicaRole::start() {
    host_.start();
}

bool GroupReplicaRole::congested() const {
    return host_.waiting() > host::EngineHost::outputs_max ||
           log_.backlog_bytes() > host::DurableLog::backlog_bytes_max;
}

boost::json::object GroupReplicaRole::report() const {
    auto agreement = engine_.agreement().report();
    auto executor = engine_.executor().report();
    boost::json::array dead;
    for (const Endpoint& sender : agreement.dead) dead.emplace_back(consensus::to_string(sender));
    boost::json::object unanswered;
    for (const auto& [voter, slots] : executor.unanswered)
        unanswered[std::to_string(voter.value)] = slots;
    boost::json::array latency;
    for (std::uint64_t count : stages_.whole().counts()) latency.emplace_back(count);
    boost::json::array partitions;
    for (const auto& [partition, owner] : config().owners)
        if (owner == group_) partitions.emplace_back(partition.value);
    return {
        {"group", group_.value},
        {"position", position_.value},
        {"partitions", std::move(partitions)},
        {"latency_counts", std::move(latency)},
        {"config", agreement.config.value},
        {"barrier_missing", agreement.unsettled ? agreement.unsettled->value : 0},
        {"view", agreement.view.value},
        {"active", agreement.active},
        {"halted", agreement.halted},
        {"hole", agreement.hole.has_value()},
        {"committed_by_others", committed_by_others().value},
        {"leader", environment_.membership.primary_of(agreement.view).value},
        {"stable", agreement.stable.value},
        {"vote_log", agreement.vote_log},
        {"headers", agreement.links},
        {"tip", agreement.tip.value},
        {"committed", agreement.committed.value},
        {"delivered", agreement.delivered.value},
        {"executed", executor.executed.value},
        {"pending", agreement.pending},
        {"missing_bodies", agreement.missing_bodies},
        {"dead_senders", std::move(dead)},
        {"replied", executor.replied},
        {"nondeterministic", executor.nondeterministic},
        {"unanswered_slots_by_voter", std::move(unanswered)},
        {"outputs_waiting", host_.waiting()},
        {"fetches_served", fetches_.served()},
    };
}

void GroupReplicaRole::add_disagreements(std::map<HostId, std::uint64_t>& by_host) const {
    for (const auto& [voter, count] : engine_.executor().report().disagreements)
        if (auto host = environment_.membership.host_of(Endpoint::voter(voter)); host && count > 0)
            by_host[*host] += count;
}

}  // namespace bft::roles
