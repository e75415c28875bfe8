#include "roles/database_voter.hpp"

#include "database/setup.hpp"

#include <boost/asio/post.hpp>
#include <boost/json/array.hpp>

namespace bft::roles {

using consensus::DatabaseGuard;
using consensus::Endpoint;

DatabaseVoterRole::DatabaseVoterRole(Environment& environment, VoterId self,
                                     consensus::VoterOptions options,
                                     database::ExecutorOptions executor_options,
                                     const catalog::Application& application)
    : environment_(environment),
      self_(self),
      told_(environment.genesis.version),
      voter_hosts_(environment.genesis.voters),
      options_(options),
      executor_options_(std::move(executor_options)),
      application_(application),
      ticker_(environment.loop, environment.clock, [this] { on_deadline(); }) {}

DatabaseVoterRole::~DatabaseVoterRole() {
    if (executor_) executor_->stop();
}

namespace {

// Helps a fresh server along. Where our user may not create databases, open() says what is missing.
void create_database_if_allowed(database::ConnectOptions connect) {
    std::string name = std::exchange(connect.database, {});
    auto session = database::Session::connect(connect);
    if (!session) return;
    if (auto created = database::create_database(*session, name); !created)
        log::debug("create_database what=\"{}\"", created.error().what);
}

}  // namespace

Result<std::unique_ptr<DatabaseVoterRole>> DatabaseVoterRole::create(
    Environment& environment, VoterId self, consensus::VoterOptions options,
    database::ExecutorOptions executor_options, const catalog::Application& application) {
    options.workers = executor_options.workers;
    std::unique_ptr<DatabaseVoterRole> role(new DatabaseVoterRole(
        environment, self, options, std::move(executor_options), application));
    auto opened =
        environment.genesis.checkpoint_slots == 0 ? role->open_executor() : role->open_guarded();
    if (!opened) return opened.error();
    if (!role->guard_ || !role->guard_->quarantined()) role->begin_service();
    environment.exchange.attach(
        Endpoint::voter(self),
        [voter = role.get()](const consensus::Verified& message) { voter->receive(message); });
    log::info("voter_ready id={} workers={} partitions={} guarded={}", self.value, options.workers,
              role->next_.size(), role->guard_.has_value());
    return role;
}

// A database that is empty or half built is not an error: the others may have what belongs there.
Result<void> DatabaseVoterRole::open_guarded() {
    auto found = database::examine(executor_options_.connect);
    if (!found) return found.error();
    auto condition = DatabaseGuard::Condition::sound;
    if (*found == database::Condition::half_built) condition = DatabaseGuard::Condition::half_built;
    if (*found == database::Condition::empty) condition = DatabaseGuard::Condition::empty;
    boost::asio::io_context& loop = environment_.loop;
    keeper_ = std::make_unique<database::SnapshotKeeper>(
        loop, database::SnapshotOptions{executor_options_.connect, 1.0}, application_,
        database::SnapshotHandlers{
            [this](consensus::Scan scan) {
                guard_->scanned(std::move(scan), environment_.clock.now());
                pump();
            },
            [this](const std::string& why) {
                guard_->damaged(why, environment_.clock.now());
                pump();
            },
            [this](const consensus::ChunkExport& asked, std::optional<Bytes> rows) {
                on_exported(asked, std::move(rows));
            }});
    rebuilder_ = std::make_unique<database::Rebuilder>(
        loop, executor_options_, application_,
        database::RebuildHandlers{[this] {
                                      guard_->ready_to_load(environment_.clock.now());
                                      pump();
                                  },
                                  [this] {
                                      guard_->loaded(environment_.clock.now());
                                      pump();
                                  },
                                  [this] { on_rebuilt(); },
                                  [this](const std::string& why) {
                                      guard_->rebuild_failed(why, environment_.clock.now());
                                      pump();
                                  }});
    // Nothing has been executed: only the snapshot is right, and that is not here.
    if (condition == DatabaseGuard::Condition::empty && executor_options_.genesis)
        condition = DatabaseGuard::Condition::unseeded;
    guard_.emplace(environment_.genesis, self_, consensus::GuardOptions{}, environment_.signer,
                   condition);
    if (condition == DatabaseGuard::Condition::half_built ||
        condition == DatabaseGuard::Condition::unseeded)
        return {};
    return open_executor();
}

Result<void> DatabaseVoterRole::open_executor() {
    if (executor_options_.install) create_database_if_allowed(executor_options_.connect);
    auto current = [this, generation = ++generation_] { return generation == generation_; };
    executor_ = std::make_unique<database::OrderedExecutor>(
        environment_.loop, executor_options_, application_,
        database::ExecutorHandlers{
            [this, current](const std::vector<consensus::Executed>& results) {
                if (!current() || !engine_) return;
                consensus::Now now = environment_.clock.now();
                measure(results, now.mono);
                engine_->executed(results, now);
                pump();
            },
            [this, current](const consensus::Lookup& lookup,
                            const std::vector<consensus::ItemResult>& results) {
                if (!current() || !engine_) return;
                engine_->found(lookup, results, environment_.clock.now());
                pump();
            },
            [this, current](const database::Alarm& raised) {
                if (current()) alarm(raised);
            },
            [this, keeper = keeper_.get()](Slot slot) {
                if (keeper == nullptr || keeper->open(slot)) return;
                boost::asio::post(environment_.loop, [this, slot] {
                    log::info("cut_skipped slot={}", slot.value);
                    if (engine_) engine_->cut_skipped(slot);
                    guard_->cut_skipped(slot);
                });
            }});
    auto standing = executor_->open();
    if (!standing) {
        executor_.reset();
        return standing.error();
    }
    next_ = std::move(standing->next);
    config_ = std::move(standing->config);
    return {};
}

void DatabaseVoterRole::begin_service() {
    engine_.emplace(environment_.genesis, self_, options_, next_, config_);
    trouble_.clear();
    halted_ = false;
}

// What the executor still has to do it does in vain: the database is going to be emptied.
void DatabaseVoterRole::end_service() {
    engine_.reset();
    waiting_.clear();
    lookups_.clear();
    given_.clear();
    asked_.clear();
}

void DatabaseVoterRole::start() {
    on_deadline();
}

void DatabaseVoterRole::on_deadline() {
    consensus::Now now = environment_.clock.now();
    if (engine_ && !halted_) {
        auto deadline = engine_->next_deadline();
        if (deadline && *deadline <= now.mono) engine_->tick(now);
    }
    if (guard_ && guard_->next_deadline() <= now.mono) {
        if (engine_) {
            auto standing = engine_->report();
            guard_->asked_again(engine_->asked_again());
            guard_->standing(standing.next, engine_->checkpoint(), standing.in_flight > 0, now);
        }
        guard_->tick(now);
    }
    pump();
}

void DatabaseVoterRole::receive(const consensus::Verified& message) {
    consensus::Now now = environment_.clock.now();
    if (const auto* fetch = std::get_if<consensus::FetchConfig>(&message.payload())) {
        answer_config(message.from(), *fetch);
    } else if (message.from().role == Endpoint::Role::voter) {
        if (guard_) guard_->receive(message, now);
    } else if (engine_ && !halted_) {
        asked(message, now.mono);
        engine_->receive(message, now);
    }
    pump();
}

// An admin hears when the database has executed the configuration that it asks about.
void DatabaseVoterRole::answer_config(const Endpoint& from, const consensus::FetchConfig& fetch) {
    if (from.role != Endpoint::Role::client || !engine_ || halted_) return;
    if (engine_->config().version < fetch.version) return;
    environment_.exchange.transmit(Endpoint::voter(self_),
                                   {{from}, consensus::FetchConfig{engine_->config().version}});
}

// A database that is away or full is retried by the executor; one that is not what it should be is
// out of service, and the rest of the host goes on without it.
void DatabaseVoterRole::alarm(const database::Alarm& raised) {
    using Kind = database::Alarm::Kind;
    if (raised.kind == Kind::database_back) {
        trouble_.clear();
        log::info("database_back what=\"{}\"", raised.text);
        return;
    }
    trouble_ = raised.text;
    bool repairable =
        guard_ && (raised.kind == Kind::wrong_sequence || raised.kind == Kind::damaged);
    halted_ = halted_ || (raised.final() && !repairable);
    log::error("{} halted={} what=\"{}\"", database::to_string(raised.kind), halted_, raised.text);
    if (!repairable) return;
    guard_->damaged(raised.text, environment_.clock.now());
    pump();
}

void DatabaseVoterRole::on_rebuilt() {
    consensus::Now now = environment_.clock.now();
    // What was loaded is proven by f_D+1 signatures. Reading all of it again would hold up the
    // loop.
    executor_options_.genesis.reset();
    if (auto opened = open_executor(); !opened) {
        guard_->rebuild_failed(opened.error().what, now);
    } else {
        guard_->rebuilt(now);
        begin_service();
        engine_->tick(now);
    }
    pump();
}

Result<void> DatabaseVoterRole::may_cut(Slot slot) const {
    if (!guard_) return error(Errc::refused, "this cluster has no database checkpoints");
    if (guard_->quarantined()) return error(Errc::unavailable, "the database is in quarantine");
    if (!environment_.membership.is_checkpoint(slot))
        return error(Errc::malformed, "not a checkpoint slot");
    return {};
}

Result<void> DatabaseVoterRole::audit(Slot slot) {
    if (auto may = may_cut(slot); !may) return may;
    guard_->audit(slot, environment_.clock.now());
    pump();
    return {};
}

Result<void> DatabaseVoterRole::resync() {
    if (!guard_) return error(Errc::refused, "this cluster has no database checkpoints");
    if (guard_->quarantined())
        return error(Errc::unavailable, "it is being rebuilt: " + guard_->report().reason);
    guard_->resync(environment_.clock.now());
    pump();
    return {};
}

// --- a copy for the operator ---

namespace {
constexpr std::size_t readers_max = 4;
}

Result<void> DatabaseVoterRole::save(Slot slot) {
    if (auto may = may_cut(slot); !may) return may;
    guard_->save(slot, environment_.clock.now());
    pump();
    return {};
}

void DatabaseVoterRole::end_save() {
    if (guard_) guard_->end_save();
    pump();
}

Result<DatabaseGuard::Saved> DatabaseVoterRole::saved(Slot slot) {
    if (!guard_) return error(Errc::refused, "this cluster has no database checkpoints");
    if (guard_->quarantined())
        return error(Errc::refused, "the database is in quarantine: " + guard_->report().reason);
    if (auto saved = guard_->saved(slot, environment_.clock.now())) return *saved;
    if (guard_->saving(slot)) return error(Errc::unavailable, "wait: f_D+1 roots are not there");
    return error(Errc::refused,
                 "skipped: another snapshot was in use, or f_D+1 databases did not "
                 "sign the same in time");
}

void DatabaseVoterRole::read_saved(Slot slot, std::uint32_t leaf, std::uint32_t chunk,
                                   std::function<void(std::optional<Bytes>)> take) {
    bool there = guard_ && readers_.size() < readers_max &&
                 guard_->lend(slot, leaf, chunk, environment_.clock.now());
    if (!there) return take(std::nullopt);
    readers_.push_back(std::move(take));
    keeper_->read({Endpoint::voter(self_), slot, leaf, chunk});
}

// The keeper answers in the order in which it was asked.
void DatabaseVoterRole::on_exported(const consensus::ChunkExport& asked,
                                    std::optional<Bytes> rows) {
    if (asked.asker == Endpoint::voter(self_) && !readers_.empty()) {
        auto take = std::move(readers_.front());
        readers_.pop_front();
        take(rows);
    }
    guard_->exported(asked, std::move(rows), environment_.clock.now());
    pump();
}

void DatabaseVoterRole::pump() {
    note_replaced();
    if (guard_) pump_guard();
    if (engine_) pump_voter();
    follow_config();
    std::optional<TimePoint> deadline;
    if (engine_ && !halted_) deadline = engine_->next_deadline();
    if (guard_ && (!deadline || guard_->next_deadline() < *deadline))
        deadline = guard_->next_deadline();
    ticker_.arm(deadline);
}

void DatabaseVoterRole::follow_config() {
    if (!engine_ || !environment_.configured || engine_->config().version <= told_) return;
    told_ = engine_->config().version;
    environment_.configured(engine_->config());
}

void DatabaseVoterRole::note_replaced() {
    const auto& hosts = environment_.membership.voters;
    voter_hosts_.resize(hosts.size(), consensus::nobody);
    for (std::uint32_t d = 0; guard_ && d < hosts.size(); ++d)
        if (voter_hosts_[d] != hosts[d]) guard_->joined(VoterId(d));
    voter_hosts_ = hosts;
}

void DatabaseVoterRole::pump_voter() {
    consensus::VoterOutput output = engine_->take_output();
    TimePoint now = output.execute.empty() ? TimePoint() : environment_.clock.mono();
    for (consensus::Execution& execution : output.execute) {
        if (auto since = asked_.find({execution.slot, execution.group}); since != asked_.end())
            environment_.stages.add(host::Stage::commit_db, now - since->second);
        waiting_.push_back(std::move(execution));
    }
    for (consensus::Lookup& lookup : output.lookup) lookups_.push_back(std::move(lookup));
    give_to_executor();
    transmit(output.send);
    note(output.events);
}

void DatabaseVoterRole::pump_guard() {
    consensus::GuardOutput output = guard_->take_output();
    if (output.stop) end_service();
    if (output.begin) begin_service();
    if (engine_)
        for (Slot slot : output.cuts) engine_->want_cut(slot);
    if (output.release) keeper_->close();
    for (const consensus::ChunkExport& asked : output.exports) keeper_->read(asked);
    if (output.rebuild) rebuilder_->begin(std::move(executor_), std::move(*output.rebuild));
    for (consensus::ChunkLoad& chunk : output.load) rebuilder_->load(std::move(chunk));
    if (output.finish) rebuilder_->finish();
    transmit(output.send);
    note(output.events);
}

void DatabaseVoterRole::transmit(std::vector<consensus::Send>& messages) {
    for (consensus::Send& send : messages)
        environment_.exchange.transmit(Endpoint::voter(self_), std::move(send));
}

void DatabaseVoterRole::note(const std::vector<consensus::Event>& events) {
    for (const consensus::Event& event : events)
        environment_.events.note(Endpoint::voter(self_), event);
}

// Bounded by the engine: at most in_flight_max executions are out.
void DatabaseVoterRole::give_to_executor() {
    TimePoint now = waiting_.empty() ? TimePoint() : environment_.clock.mono();
    while (!waiting_.empty() && executor_->execute(waiting_.front())) {
        const consensus::Execution& given = waiting_.front();
        given_.emplace(std::tuple(given.group, given.slot, given.item.index), now);
        waiting_.pop_front();
    }
    while (!lookups_.empty() && executor_->lookup(lookups_.front())) lookups_.pop_front();
}

void DatabaseVoterRole::asked(const consensus::Verified& message, TimePoint now) {
    const auto* commit = std::get_if<consensus::CommitDb>(&message.payload());
    if (commit == nullptr) return;
    asked_.try_emplace({commit->slot, commit->group}, now);
    if (asked_.size() > asked_max) asked_.erase(asked_.begin());
}

void DatabaseVoterRole::measure(const std::vector<consensus::Executed>& results, TimePoint now) {
    for (const consensus::Executed& one : results) {
        auto given = given_.find({one.group, one.slot, one.result.index});
        if (given == given_.end()) continue;
        environment_.stages.add(host::Stage::execute, now - given->second);
        given_.erase(given);
    }
}

boost::json::object DatabaseVoterRole::guard_report() const {
    DatabaseGuard::Report report = guard_->report();
    boost::json::array differences;
    for (const std::string& each : report.differences) differences.emplace_back(each);
    boost::json::object roots;
    for (const auto& [slot, by_voter] : report.roots) {
        boost::json::object of_slot;
        for (const auto& [voter, root] : by_voter) of_slot[std::to_string(voter.value)] = hex(root);
        roots[std::to_string(slot.value)] = std::move(of_slot);
    }
    return {
        {"state", consensus::to_string(report.state)},
        {"reason", report.reason},
        {"stable", report.stable.value},
        {"stable_root", hex(report.stable_root)},
        {"scanned", report.scanned.value},
        {"roots", std::move(roots)},
        {"differences", std::move(differences)},
        {"chunks", report.chunks},
        {"chunks_loaded", report.chunks_loaded},
        {"quarantines", report.quarantines},
        {"transfers", report.transfers},
        {"snapshot_held", report.snapshot_held},
        {"scans", keeper_->scans()},
        {"scans_skipped", keeper_->skipped()},
        {"scan_ms", keeper_->scan_ms()},
        {"scan_cpu_us", keeper_->cpu_us()},
    };
}

boost::json::object DatabaseVoterRole::report() const {
    consensus::Voter::Report report;
    if (engine_) report = engine_->report();
    static const database::ExecutorCounters none{};
    const database::ExecutorCounters& counters = executor_ ? executor_->counters() : none;
    boost::json::object next;
    for (const auto& [partition, seq] : report.next)
        next[std::to_string(partition.value)] = seq.value;
    boost::json::object object{
        {"id", self_.value},
        {"next", std::move(next)},
        {"waiting", report.waiting},
        {"in_flight", report.in_flight},
        {"executed", report.executed},
        {"aborted", counters.aborted.load()},
        {"duplicates", counters.duplicates.load()},
        {"batches", counters.batches.load()},
        {"together", counters.together.load()},
        {"retries", counters.retries.load()},
        {"reconnects", counters.reconnects.load()},
        {"lookups", counters.lookups.load()},
        {"halted", halted_},
        {"checkpoint", engine_ ? engine_->checkpoint().value : 0},
        {"config", engine_ ? engine_->config().version.value : 0},
        {"quarantined", quarantined()},
        {"database_up", trouble_.empty()},
        {"trouble", trouble_},
    };
    if (guard_) object["guard"] = guard_report();
    return object;
}

void DatabaseVoterRole::add_disagreements(std::map<HostId, std::uint64_t>& by_host) const {
    if (!engine_) return;
    for (const auto& [sender, count] : engine_->report().disagreements)
        if (auto host = environment_.membership.host_of(sender); host && count > 0)
            by_host[*host] += count;
}

}  // namespace bft::roles
