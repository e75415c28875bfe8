#include "node/seats.hpp"

#include "base/log.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace bft::node {

using consensus::Endpoint;

namespace {

constexpr Duration counter_patience = 30s;
constexpr Duration look_again_every = 10s;
// Clients that were away may ask a group that was removed for what it answered; as long as a
// partition's former group is asked (docs/adr/0012).
constexpr std::uint64_t slots_after_removal = 16384;

}  // namespace

Seats::Seats(Sources sources)
    : sources_(std::move(sources)), retry_(sources_.loop), look_again_(sources_.loop) {}

Result<void> Seats::open() {
    open_next();
    while (opening_ && !failure_ && !sources_.stopped()) sources_.loop.run_one();
    return failure_ ? Result<void>(*failure_) : Result<void>();
}

void Seats::start() {
    running_ = true;
    for (auto& replica : replicas_) replica->start();
    give_up_forgotten();
}

// Engines call this in the middle of their work.
void Seats::follow() {
    if (!running_) return;
    boost::asio::post(sources_.loop, [this] {
        if (!sources_.stopped()) open_next();
    });
}

const consensus::Configuration* Seats::newest() const {
    const consensus::Configuration* newest = nullptr;
    for (const auto& replica : replicas_)
        if (newest == nullptr || newest->version < replica->config().version)
            newest = &replica->config();
    return newest;
}

std::vector<consensus::BarrierCertPtr> Seats::chain() const {
    std::vector<consensus::BarrierCertPtr> newest = sources_.proven();
    auto version = [](const auto& known) {
        return known.empty() ? ConfigVersion() : known.back()->config->version;
    };
    for (const auto& replica : replicas_)
        if (auto known = replica->configs().barriers(); version(known) > version(newest))
            newest = std::move(known);
    return newest;
}

// An engine begins with the configurations up to the one that gave it its seat.
std::optional<Seats::Seat> Seats::next_seat() const {
    const auto known = chain();
    const auto& groups =
        known.empty() ? sources_.environment.genesis.groups : known.back()->config->groups;
    for (const consensus::Group& group : groups) {
        const consensus::Group* now = sources_.environment.membership.group(group.id);
        for (std::uint32_t j = 0; now != nullptr && j < group.members.size(); ++j) {
            const Seat seat{group.id, Position(j)};
            if (j >= now->members.size()) break;  // told of in a moment
            if (group.members[j].host == sources_.self && !open_.contains(seat) &&
                !failed_.contains(seat) && !forgotten(group.id, known))
                return seat;
        }
    }
    return std::nullopt;
}

bool Seats::forgotten(GroupId group, const std::vector<consensus::BarrierCertPtr>& chain) const {
    auto removed = std::find_if(chain.begin(), chain.end(), [&](const auto& barrier) {
        const consensus::Group* then = barrier->config->group(group);
        return then != nullptr && then->removed();
    });
    if (removed == chain.end()) return false;
    Slot reached{};
    for (const auto& replica : replicas_) reached = std::max(reached, replica->delivered());
    return reached.value > (*removed)->slot.value + slots_after_removal;
}

// One after the other: each adds to the log that the next one is loaded from.
void Seats::open_next() {
    if (opening_) return;
    opening_ = next_seat();
    if (!opening_) return;
    waits_since_ = {};
    begin_log(*opening_);
}

// Of a seat that came later the log begins with the configurations that led to it.
void Seats::begin_log(const Seat& seat) {
    auto log = sources_.log();
    if (!log) return failed(seat, log.error());
    std::vector<consensus::BarrierCertPtr> logged;
    if (auto done = (*log)->load_barriers(logged); !done) return failed(seat, done.error());
    auto has_seat = [&](const consensus::Group* group) {
        return group != nullptr && seat.position.value < group->members.size() &&
               group->members[seat.position.value].host == sources_.self;
    };
    const bool known = has_seat(sources_.environment.genesis.group(seat.group)) ||
                       (!logged.empty() && has_seat(logged.back()->config->group(seat.group)));
    std::vector<consensus::Persist> records;
    if (!known)
        for (consensus::BarrierCertPtr& each : chain())
            records.push_back({consensus::BarrierRecord{std::move(each)}});
    (*log)->append(Endpoint::replica(seat.group, seat.position), std::move(records),
                   [this, seat] { ask_standing(seat); });
}

// T0, T1: before an engine runs it must know what its counter was spent on last.
void Seats::ask_standing(const Seat& seat) {
    const UsigId counter =
        sources_.environment.membership.group(seat.group)->members[seat.position.value].usig;
    sources_.counters.last(counter, [this, seat](Result<usig::Standing> found) {
        if (found) return create(seat, *found);
        if (found.error().code != Errc::unavailable) return failed(seat, found.error());
        const TimePoint now = sources_.environment.clock.mono();
        if (waits_since_ == TimePoint{}) {
            waits_since_ = now;
            log::warn("counter_unavailable what=\"{}\" waiting=true", found.error().what);
        }
        if (!running_ && now - waits_since_ > counter_patience)
            return failed(seat, error(Errc::unavailable, found.error().what +
                                                             "; start this host's USIG service "
                                                             "(bftnode --role=usig)"));
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this, seat](const boost::system::error_code& cancelled) {
            if (!cancelled) ask_standing(seat);
        });
    });
}

void Seats::create(const Seat& seat, const usig::Standing& standing) {
    auto log = sources_.log();
    if (!log) return failed(seat, log.error());
    auto role =
        roles::GroupReplicaRole::create(sources_.environment, seat.group, seat.position,
                                        sources_.options, sources_.counters, **log, standing);
    if (!role) return failed(seat, role.error());
    open_.insert(seat);
    replicas_.push_back(std::move(*role));
    if (running_) {
        log::info("seat_taken_on group={} position={}", seat.group.value, seat.position.value);
        replicas_.back()->start();
    }
    opening_.reset();
    open_next();
}

void Seats::failed(const Seat& seat, const Error& why) {
    opening_.reset();
    if (!running_) {
        failure_ = why;
        return;
    }
    log::error("seat_not_taken_on group={} position={} what=\"{}\"", seat.group.value,
               seat.position.value, why.what);
    failed_.insert(seat);
    open_next();
}

void Seats::give_up_forgotten() {
    const auto known = chain();
    std::erase_if(replicas_, [&](const auto& replica) {
        const Endpoint self = replica->self();
        if (!forgotten(self.group, known)) return false;
        log::info("seat_given_up group={} position={} what=\"the group was removed\"",
                  self.group.value, self.index);
        open_.erase({self.group, Position(self.index)});
        return true;
    });
    look_again_.expires_after(look_again_every);
    look_again_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) give_up_forgotten();
    });
}

}  // namespace bft::node
