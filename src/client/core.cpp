#include "client/core.hpp"

#include "base/invariant.hpp"
#include "base/merkle.hpp"
#include "consensus/client_window.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <algorithm>

namespace bft::client {

using consensus::Endpoint;
using consensus::ItemResult;
using consensus::Rejected;
using consensus::RequestId;

namespace {
constexpr std::size_t accepted_kept = 4096;
constexpr std::size_t bundle_bytes = 1024 * 1024;  // a bundle that has so many is full
}  // namespace

ClientCore::ClientCore(const consensus::Membership& membership, ClientId self, CoreOptions options,
                       ClientSeq first, std::uint64_t seed)
    : membership_(membership),
      configs_(membership),
      self_(self),
      options_(options),
      first_(first),
      highest_(first),
      prng_(seed) {
    invariant(first.value > 0, "client sequence numbers begin at 1");
}

Result<void> ClientCore::submit(std::uint64_t token, PartitionId home,
                                std::vector<PartitionId> parts, bool read_only, Bytes op,
                                TimePoint now, CallOptions options) {
    for (PartitionId part : parts)
        if (!membership_.owner(part))
            return error(Errc::not_found,
                         "no group of the cluster owns partition " + std::to_string(part.value));
    invariant(std::binary_search(parts.begin(), parts.end(), home), "the home is a partition");
    auto [it, created] = homes_.try_emplace(home);
    Home& state = it->second;
    if (created) state.next = first_;
    Waiting call{token, std::move(parts), read_only, std::move(op), now, options};
    if (state.waiting.empty() && state.next - state.ack_low() < consensus::ClientWindow::size) {
        start(home, state, std::move(call), now);
        return {};
    }
    if (waiting_ >= options_.queue_max)
        return error(Errc::exhausted, std::to_string(waiting_) +
                                          " calls wait already; slow down or raise queue_max");
    state.waiting.push_back(std::move(call));
    ++waiting_;
    return {};
}

// The sequence number is given only now, so that numbers in use stay within one window (C4).
void ClientCore::start(PartitionId home_id, Home& home, Waiting call, TimePoint now) {
    Outstanding request;
    request.token = call.token;
    request.group = *configs_.newest().owner(home_id);
    request.patience = options_.retry_after;
    Duration patience = call.options.give_up_after.value_or(options_.give_up_after);
    if (patience > Duration::zero()) request.give_up = call.since + patience;
    request.draft.id = {self_, home_id, home.next};
    request.draft.ack_low = home.ack_low();
    request.draft.parts = std::move(call.parts);
    request.draft.read_only = call.read_only;
    request.draft.key = options_.key;
    request.draft.receipt = call.options.receipt;
    request.draft.op = std::move(call.op);
    request.draft.raw = wire::encode_request(request.draft);
    request.draft.rd = consensus::request_digest(request.draft.raw);

    RequestId id = request.draft.id;
    home.next = home.next.next();
    highest_ = std::max(highest_, home.next);
    home.outstanding.emplace(id.cseq, std::move(request));
    ++outstanding_;
    unsigned_.push_back(id);
    // Where requests come in numbers, a signature that more of them share saves every node one.
    // One that comes alone waits for nobody.
    if (!bundle_due_)
        bundle_due_ = std::max(now, bundled_at_ + options_.bundle_interval * (in_numbers_ ? 3 : 1));
    if (unsigned_.size() >= options_.bundle_max) bundle_due_ = now;
}

ClientCore::Output ClientCore::take_output() {
    Output out = std::move(out_);
    out_ = {};
    return out;
}

void ClientCore::bundle_signed(const Bundle& bundle, const Bytes& signature, TimePoint now) {
    std::shared_ptr<const consensus::SignedBundle> together;
    if (bundle.rds.size() > 1)
        together = std::make_shared<const consensus::SignedBundle>(
            consensus::SignedBundle{MerkleTree(bundle.rds), signature});
    for (std::size_t i = 0; i < bundle.requests.size(); ++i) {
        Outstanding* request = find(bundle.requests[i]);
        if (request == nullptr || request->body) continue;
        request->draft.bundle_index = static_cast<std::uint32_t>(i);
        request->draft.bundle_count = static_cast<std::uint32_t>(bundle.requests.size());
        request->draft.bundle = together;
        if (!together) request->draft.signature = signature;
        request->body = std::make_shared<const consensus::Request>(std::move(request->draft));
        send(*request, now);
    }
}

// C1 at first: the primary and the owner group, which saves the primary from shipping bodies. C3
// afterwards: the view hint may be wrong, so every primary-capable node.
void ClientCore::send(Outstanding& request, TimePoint now) {
    std::vector<Endpoint> to = membership_.replicas(request.group);
    if (request.moved) {
        to = membership_.all_replicas();
        for (const Endpoint& each : membership_.removed_replicas()) to.push_back(each);
    }
    if (request.attempts == 0 && membership_.knows(view_)) {
        to.push_back(Endpoint::primary(membership_.primary_of(view_)));
    } else {
        if (request.attempts > 0) {
            ++sent_again_;
            ask_everybody(now);
        }
        for (const Endpoint& primary : membership_.all_primaries()) to.push_back(primary);
    }
    ++request.attempts;
    out_.send.push_back({std::move(to), request.body});
    // Between 80 % and 120 % of the patience: clients that failed together do not return together.
    auto jitter = static_cast<Duration::rep>(prng_.between(80, 120));
    TimePoint deadline = now + request.patience / 100 * jitter;
    request.patience = std::min(request.patience * 2, options_.retry_max);
    if (request.give_up) deadline = std::min(deadline, *request.give_up);
    set_deadline(request.body->id, request, deadline);
}

void ClientCore::connected(HostId host) {
    std::vector<Endpoint> primaries = membership_.all_primaries();
    for (const auto& [home_id, home] : homes_) {
        for (const auto& [cseq, request] : home.outstanding) {
            if (!request.body) continue;
            std::vector<Endpoint> here = membership_.replicas(request.group);
            here.insert(here.end(), primaries.begin(), primaries.end());
            std::erase_if(here, [&](const Endpoint& e) { return membership_.host_of(e) != host; });
            if (!here.empty()) out_.send.push_back({std::move(here), request.body});
        }
    }
}

void ClientCore::set_deadline(const RequestId& id, Outstanding& request, TimePoint deadline) {
    deadlines_.erase({request.deadline, id});
    request.deadline = deadline;
    deadlines_.emplace(deadline, id);
}

ClientCore::Outstanding* ClientCore::find(const RequestId& id) {
    auto home = homes_.find(id.home);
    if (id.client != self_ || home == homes_.end()) return nullptr;
    auto found = home->second.outstanding.find(id.cseq);
    return found == home->second.outstanding.end() ? nullptr : &found->second;
}

bool ClientCore::speaks_for(HostId peer, GroupId group, Position position) const {
    return membership_.host_of(Endpoint::replica(group, position)) == peer;
}

void ClientCore::replied(HostId peer, const consensus::Reply& reply, TimePoint now) {
    if (!speaks_for(peer, reply.group, reply.position)) return;
    const RequestId& id = reply.answer.rid;
    Outstanding* request = find(id);
    if (request == nullptr) return late_reply(reply);
    heard_of(Endpoint::replica(reply.group, reply.position), reply.config);
    if (!request->body || (reply.group != request->group && !request->moved)) return;

    // Without a good signature it is no answer to this request: who sends none is silent.
    if (request->body->receipt && !(options_.well_signed && options_.well_signed(reply))) return;

    Vote vote{reply.slot, reply.answer, reply.view_hint, false, {}, 0, {}};
    if (request->body->receipt) {
        vote.rd = reply.rd;
        vote.ts_ms = reply.ts_ms;
        vote.signature = reply.signature;
    }
    if (vote.answer.has_result &&
        consensus::result_digest(vote.answer.outcome, vote.answer.code, vote.answer.result) !=
            vote.answer.rdig) {
        // It cannot be right whatever the others say, and its result must never be handed out.
        vote.lied = true;
        vote.answer.has_result = false;
        vote.answer.result.clear();
    }
    auto& votes =
        reply.group == request->group ? request->votes : request->votes_elsewhere[reply.group];
    auto& mine = votes[reply.position];
    // A digest-only repetition does not take the full result away.
    if (mine.answer.has_result && !vote.answer.has_result && mine.slot == vote.slot &&
        mine.answer.same_answer(vote.answer))
        return;
    mine = std::move(vote);
    decide(id, *request, now);
}

// C2: f+1 equal (rid, slot, index, outcome, digest) of distinct positions of the owner group, and
// one full result that has that digest. At most f positions lie, so one of the f+1 is correct.
void ClientCore::decide(const RequestId& id, Outstanding& request, TimePoint now) {
    if (decide(id, request, request.group, request.votes, now)) return;
    for (const auto& [group, votes] : request.votes_elsewhere)
        if (decide(id, request, group, votes, now)) return;
}

bool ClientCore::decide(const RequestId& id, Outstanding& request, GroupId group,
                        const std::map<Position, Vote>& votes, TimePoint now) {
    for (const auto& [position, candidate] : votes) {
        if (candidate.lied) continue;
        std::uint32_t equal = 0;
        const Vote* full = nullptr;
        for (const auto& [other, vote] : votes) {
            if (vote.lied || !vote.agrees(candidate)) continue;
            // Replaced: another has its seat. Members of a removed group are who they were last.
            const consensus::Group* members = configs_.standing(group);
            if (members == nullptr || !members->active(other)) continue;
            ++equal;
            if (vote.answer.has_result) full = &vote;
        }
        if (equal < membership_.quorum()) continue;
        // Nobody needs to send an empty result: the digest says that it is empty.
        bool none = consensus::result_digest(candidate.answer.outcome, candidate.answer.code, {}) ==
                    candidate.answer.rdig;
        if (full == nullptr && !none) continue;
        accept(id, request, group, votes, full != nullptr ? *full : candidate, now);
        return true;
    }
    return false;
}

// C5. Who says that it follows a later configuration is asked for the proof.
void ClientCore::heard_of(const Endpoint& from, ConfigVersion version) {
    if (from.role != Endpoint::Role::replica || version <= configs_.newest().version) return;
    heard_[{from.group, Position(from.index)}] = version;
    std::uint32_t equal = 0;
    for (const auto& [who, its] : heard_)
        if (who.first == from.group && its > configs_.newest().version) ++equal;
    if (equal < membership_.quorum()) return;
    heard_.clear();
    out_.ask_config = AskConfig{membership_.replicas(from.group), {configs_.newest().version}};
}

// Of those who would answer, or refuse, some may be members that are not known here, and then
// nobody else can make up f+1 with them.
void ClientCore::ask_everybody(TimePoint now) {
    if (now < ask_everybody_at_) return;
    ask_everybody_at_ = now + options_.retry_after;
    out_.ask_config = AskConfig{membership_.all_replicas(), {configs_.newest().version}};
}

void ClientCore::configured(const Endpoint& from, const consensus::BarrierCertPtr& barrier,
                            TimePoint now) {
    if (!configs_.skip_to(barrier)) return heard_of(from, barrier->config->version);
    consensus::follow(membership_, configs_.newest());
    for (auto& [home_id, home] : homes_) {
        GroupId owner = *configs_.newest().owner(home_id);
        for (auto& [cseq, request] : home.outstanding) {
            // Whoever owned the home when it was ordered answers: perhaps one that owned it only
            // between two configurations that we know, and it is back where it was.
            request.moved = true;
            if (request.group == owner) continue;
            request.votes_elsewhere[request.group] = std::move(request.votes);
            request.votes = std::move(request.votes_elsewhere[owner]);
            request.votes_elsewhere.erase(owner);
            request.rejections.clear();
            request.group = owner;
            if (request.body) send(request, now);
        }
    }
    // Who lags learns of one after the other: each has its proof in the one before.
    if (!out_.ask_config) out_.ask_config = AskConfig{{from}, {configs_.newest().version}};
}

void ClientCore::accept(const RequestId& id, Outstanding& request, GroupId group,
                        const std::map<Position, Vote>& votes, const Vote& vote, TimePoint now) {
    Finished done;
    done.how = Finished::How::answered;
    done.slot = vote.slot;
    done.answer = vote.answer;
    if (request.body->receipt) {
        done.request = request.body->raw;
        done.rd = vote.rd;
        done.ts_ms = vote.ts_ms;
        done.group = group;
    }
    Accepted& kept = accepted_[id];
    kept.slot = vote.slot;
    kept.group = group;
    kept.answer = vote.answer;
    kept.answer.result.clear();
    for (const auto& [position, other] : votes) {
        if (!other.lied && other.agrees(vote)) {
            if (other.signature) done.signatures.emplace_back(position, *other.signature);
            continue;
        }
        kept.disagreed.insert(position);
        disagreed(group, position);
        done.disagreeing.push_back(*membership_.host_of(Endpoint::replica(group, position)));
    }
    for (const auto& [position, refusal] : request.rejections) {
        // A refusal for want of room is not a lie, and the room came later.
        if (refusal.reason == Rejected::Reason::over_quota ||
            refusal.reason == Rejected::Reason::stale)
            continue;
        if (kept.disagreed.insert(position).second) {
            disagreed(request.group, position);
            done.disagreeing.push_back(
                *membership_.host_of(Endpoint::replica(request.group, position)));
        }
    }
    accepted_order_.push_back(id);
    if (accepted_order_.size() > accepted_kept) {
        accepted_.erase(accepted_order_.front());
        accepted_order_.pop_front();
    }
    learn_view(request);
    finish(id, std::move(done), now);
}

void ClientCore::late_reply(const consensus::Reply& reply) {
    auto found = accepted_.find(reply.answer.rid);
    if (found == accepted_.end()) return;
    Accepted& accepted = found->second;
    if (accepted.group != reply.group) return;
    bool same = reply.slot == accepted.slot && reply.answer.same_answer(accepted.answer);
    if (same && reply.answer.has_result)
        same = consensus::result_digest(reply.answer.outcome, reply.answer.code,
                                        reply.answer.result) == reply.answer.rdig;
    if (!same && accepted.disagreed.insert(reply.position).second)
        disagreed(reply.group, reply.position);
}

void ClientCore::disagreed(GroupId group, Position position) {
    ++disagreements_[*membership_.host_of(Endpoint::replica(group, position))];
}

// The largest view that f+1 positions claim to have reached: at least one of them is correct.
void ClientCore::learn_view(const Outstanding& request) {
    std::vector<View> views;
    for (const auto& [position, vote] : request.votes) views.push_back(vote.view_hint);
    if (views.size() < membership_.quorum()) return;
    std::sort(views.begin(), views.end(), std::greater<>());
    view_ = std::max(view_, views[membership_.quorum() - 1]);
}

void ClientCore::rejected(HostId peer, const Endpoint& from, const Rejected& refusal,
                          TimePoint now) {
    Outstanding* request = find(refusal.rid);
    // What the primary says about a request does not count: it has no vote.
    if (request == nullptr || !request->body || from.role != Endpoint::Role::replica) return;
    if (from.group != request->group || !speaks_for(peer, from.group, Position(from.index))) return;
    if (refusal.reason == Rejected::Reason::over_quota) return;  // the retry comes anyway
    request->rejections[Position(from.index)] = refusal;
    std::uint32_t equal = 0;
    for (const auto& [position, other] : request->rejections)
        if (other.reason == refusal.reason && membership_.active(from.group, position)) ++equal;
    if (equal < membership_.quorum()) return;
    Finished done;
    done.how = Finished::How::rejected;
    done.reason = refusal.reason;
    done.text = refusal.text;
    finish(refusal.rid, std::move(done), now);
}

void ClientCore::finish(const RequestId& id, Finished how, TimePoint now) {
    Home& home = homes_.at(id.home);
    auto found = home.outstanding.find(id.cseq);
    how.token = found->second.token;
    how.id = id;
    how.attempts = found->second.attempts;
    deadlines_.erase({found->second.deadline, id});
    home.outstanding.erase(found);
    --outstanding_;
    out_.finished.push_back(std::move(how));
    while (!home.waiting.empty() && home.next - home.ack_low() < consensus::ClientWindow::size) {
        Waiting next = std::move(home.waiting.front());
        home.waiting.pop_front();
        --waiting_;
        start(id.home, home, std::move(next), now);
    }
}

// The oldest ones that fit, of one group: its replicas then have the whole bundle.
ClientCore::Bundle ClientCore::next_bundle() {
    Bundle bundle;
    std::vector<RequestId> later;
    std::optional<GroupId> group;
    std::size_t bytes = 0;
    for (const RequestId& id : unsigned_) {
        const Outstanding& request = *find(id);
        if (!group) group = request.group;
        bool fits = bundle.requests.size() < options_.bundle_max && bytes < bundle_bytes;
        if (!fits || request.group != *group) {
            later.push_back(id);
            continue;
        }
        bytes += request.draft.raw.size();
        bundle.requests.push_back(id);
        bundle.rds.push_back(request.draft.rd);
    }
    unsigned_ = std::move(later);
    return bundle;
}

void ClientCore::tick(TimePoint now) {
    if (bundle_due_ && *bundle_due_ <= now && !out_.sign) {
        Bundle bundle = next_bundle();
        bundle_due_ = unsigned_.empty() ? std::nullopt : std::optional(now);
        in_numbers_ = bundle.requests.size() > 1;
        bundled_at_ = now;
        bundle.digest =
            consensus::bundle_digest(membership_.cluster, self_, merkle_root(bundle.rds));
        out_.sign = std::move(bundle);
    }
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        RequestId id = deadlines_.begin()->second;
        Outstanding& request = *find(id);
        if (request.give_up && *request.give_up <= now) {
            Finished done;
            done.how = Finished::How::timed_out;
            finish(id, std::move(done), now);
        } else {
            send(request, now);
        }
    }
}

std::optional<TimePoint> ClientCore::next_deadline() const {
    std::optional<TimePoint> next = bundle_due_;
    if (!deadlines_.empty() && (!next || deadlines_.begin()->first < *next))
        next = deadlines_.begin()->first;
    return next;
}

}  // namespace bft::client
