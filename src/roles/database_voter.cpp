#include "roles/database_voter.hpp"

#include "database/setup.hpp"

namespace bft::roles {

using consensus::Endpoint;

DatabaseVoterRole::DatabaseVoterRole(Environment& environment, VoterId self,
                                     database::ExecutorOptions executor_options,
                                     const catalog::Application& application)
    : environment_(environment),
      self_(self),
      ticker_(environment.loop, environment.clock,
              [this] {
                  consensus::Now now = environment_.clock.now();
                  auto deadline = engine_->next_deadline();
                  if (deadline && *deadline <= now.mono) engine_->tick(now);
                  pump();
              }),
      executor_(
          environment.loop, std::move(executor_options), application,
          {[this](std::vector<consensus::Executed> results) { executed(results); },
           [this](const consensus::Lookup& lookup,
                  const std::vector<consensus::ItemResult>& results) { found(lookup, results); },
           [this](const database::Alarm& raised) { alarm(raised); }}) {}

DatabaseVoterRole::~DatabaseVoterRole() {
    executor_.stop();
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
    if (executor_options.install) create_database_if_allowed(executor_options.connect);
    std::unique_ptr<DatabaseVoterRole> role(
        new DatabaseVoterRole(environment, self, std::move(executor_options), application));
    auto next = role->executor_.open();
    if (!next) return next.error();
    role->engine_.emplace(environment.membership, self, options, *next);
    environment.exchange.attach(
        Endpoint::voter(self),
        [voter = role.get()](const consensus::Verified& message) { voter->receive(message); });
    log::info("voter_ready id={} workers={} partitions={}", self.value, options.workers,
              next->size());
    return role;
}

void DatabaseVoterRole::start() {
    engine_->tick(environment_.clock.now());
    pump();
}

void DatabaseVoterRole::receive(const consensus::Verified& message) {
    if (halted_) return;
    engine_->receive(message, environment_.clock.now());
    pump();
}

void DatabaseVoterRole::executed(const std::vector<consensus::Executed>& results) {
    if (!engine_) return;
    engine_->executed(results, environment_.clock.now());
    pump();
}

void DatabaseVoterRole::found(const consensus::Lookup& lookup,
                              const std::vector<consensus::ItemResult>& results) {
    if (!engine_) return;
    engine_->found(lookup, results, environment_.clock.now());
    pump();
}

// A database that is away or full is retried by the executor; one that is not what it should be
// stops answering, and the rest of the host goes on without it.
void DatabaseVoterRole::alarm(const database::Alarm& raised) {
    if (raised.kind == database::Alarm::Kind::database_back) {
        trouble_.clear();
        log::info("database_back what=\"{}\"", raised.text);
        return;
    }
    trouble_ = raised.text;
    halted_ = halted_ || raised.final();
    log::error("{} halted={} what=\"{}\"", database::to_string(raised.kind), halted_, raised.text);
}

void DatabaseVoterRole::pump() {
    consensus::VoterOutput output = engine_->take_output();
    for (consensus::Execution& execution : output.execute) waiting_.push_back(std::move(execution));
    for (consensus::Lookup& lookup : output.lookup) lookups_.push_back(std::move(lookup));
    give_to_executor();
    for (consensus::Send& send : output.send)
        environment_.exchange.transmit(Endpoint::voter(self_), std::move(send));
    for (const consensus::Event& event : output.events)
        environment_.events.note(Endpoint::voter(self_), event);
    ticker_.arm(engine_->next_deadline());
}

// Bounded by the engine: at most in_flight_max executions are out.
void DatabaseVoterRole::give_to_executor() {
    while (!waiting_.empty() && executor_.execute(waiting_.front())) waiting_.pop_front();
    while (!lookups_.empty() && executor_.lookup(lookups_.front())) lookups_.pop_front();
}

boost::json::object DatabaseVoterRole::report() const {
    auto report = engine_->report();
    const database::ExecutorCounters& counters = executor_.counters();
    boost::json::object next;
    for (const auto& [partition, seq] : report.next)
        next[std::to_string(partition.value)] = seq.value;
    return {
        {"id", self_.value},
        {"next", std::move(next)},
        {"waiting", report.waiting},
        {"in_flight", report.in_flight},
        {"executed", report.executed},
        {"aborted", counters.aborted.load()},
        {"duplicates", counters.duplicates.load()},
        {"batches", counters.batches.load()},
        {"retries", counters.retries.load()},
        {"reconnects", counters.reconnects.load()},
        {"lookups", counters.lookups.load()},
        {"halted", halted_},
        {"database_up", trouble_.empty()},
        {"trouble", trouble_},
    };
}

void DatabaseVoterRole::add_disagreements(std::map<HostId, std::uint64_t>& by_host) const {
    for (const auto& [sender, count] : engine_->report().disagreements)
        if (auto host = environment_.membership.host_of(sender); host && count > 0)
            by_host[*host] += count;
}

}  // namespace bft::roles
