#include "consensus/minbft/group_executor.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::size_t replies_together = 1024;    // what a frame takes
constexpr std::uint64_t log_executed_every = 32;  // slots between two ExecutedRecords

}  // namespace

GroupExecutor::GroupExecutor(const Membership& membership, GroupId group, Position position,
                             ExecutorOptions options)
    : membership_(membership),
      group_(group),
      position_(position),
      options_(options),
      voters_(membership.voters.size()),
      voter_hosts_(membership.voters),
      config_(membership.version) {
    for (VoterState& voter : voters_) voter.patience = options.retransmit;
}

// --- towards the voters (R12)
// -----------------------------------------------------------------------

void GroupExecutor::deliver(Delivery delivery, Now now) {
    invariant(delivery.slot > last_delivered_, "slots are delivered in order");
    last_delivered_ = delivery.slot;
    if (delivery.entries.empty()) return advance_executed();
    if (membership_.orders_only()) return answer_places(delivery);

    SlotState state;
    for (DeliveredEntry& entry : delivery.entries) {
        for (const PartitionSeq& s : entry.item.seqs) holders_[s.partition][s.seq] = delivery.slot;
        if (entry.body && entry.item.kind == ItemKind::transaction) {
            // CK6: the client has finished everything below ack_low.
            auto& kept = replies_[{entry.item.rid.home, entry.item.rid.client}];
            kept.erase(kept.begin(), kept.lower_bound(entry.body->ack_low));
        }
        state.items.push_back({std::move(entry),
                               std::vector<std::optional<ItemResult>>(voters_.size()),
                               false,
                               false,
                               {},
                               {}});
    }
    state.undecided = state.items.size();
    for (std::uint32_t d = 0; d < voters_.size(); ++d) {
        state.unanswered.insert(VoterId(d));
        if (voters_[d].unanswered.empty()) voters_[d].retry_at = now.mono + voters_[d].patience;
        voters_[d].unanswered.insert(delivery.slot);
    }
    Send plain{{}, {}};
    Send with_bodies{{}, {}};
    for (std::uint32_t d = 0; d < voters_.size(); ++d)
        (brings_bodies(delivery.slot, VoterId(d)) ? with_bodies : plain)
            .to.push_back(Endpoint::voter(VoterId(d)));
    for (Send* send : {&plain, &with_bodies}) {
        if (send->to.empty()) continue;
        send->payload = commit_db(delivery.slot, state, send == &with_bodies);
        out_.send.push_back(std::move(*send));
    }
    undecided_.insert(delivery.slot);
    slots_.emplace(delivery.slot, std::move(state));
    // A database that is away must not keep everybody's log for ever (CK2).
    while (!slots_.empty() && slots_.begin()->second.undecided == 0 &&
           (slots_.size() > options_.slots_kept ||
            slots_.begin()->first + options_.slots_behind < last_delivered_)) {
        out_.events.push_back(
            {Event::Kind::dropped, Endpoint::voter(*slots_.begin()->second.unanswered.begin()),
             slots_.begin()->first, 1, "a database lags too far: it needs a state transfer"});
        forget(slots_.begin()->first);
    }
    advance_executed();
}

// Without databases the place is the answer, and committed is executed. A client's answers leave
// together.
void GroupExecutor::answer_places(const Delivery& delivery) {
    std::map<ClientId, Replies> together;
    for (const DeliveredEntry& entry : delivery.entries) {
        if (entry.item.kind != ItemKind::transaction) continue;
        const RequestId& rid = entry.item.rid;
        auto& kept = places_[{rid.home, rid.client}];
        kept.resize(ClientWindow::size);
        Place& place = kept[rid.cseq.value % ClientWindow::size];
        place = {rid.cseq, delivery.slot, entry.item.index, entry.item.rd, entry.item.ts_ms};
        ++replied_;
        Reply reply = place_reply(rid, place);
        if (options_.observed) out_.answered.push_back(reply);
        if (entry.body && entry.body->receipt) {
            reply.receipt = true;
            out_.send.push_back({{Endpoint::of_client(rid.client)}, std::move(reply)});
            continue;
        }
        Replies& more = together[rid.client];
        more.replies.push_back(std::move(reply));
        if (more.replies.size() == replies_together)
            out_.send.push_back(
                {{Endpoint::of_client(rid.client)}, std::exchange(more, Replies{})});
    }
    for (auto& [client, replies] : together)
        if (!replies.replies.empty())
            out_.send.push_back({{Endpoint::of_client(client)}, std::move(replies)});
    advance_executed();
}

Reply GroupExecutor::place_reply(const RequestId& rid, const Place& place) const {
    static const Digest nothing = result_digest(Outcome::ok, 0, {});
    Reply reply;
    reply.group = group_;
    reply.position = position_;
    reply.slot = place.slot;
    reply.answer.index = place.index;
    reply.answer.rid = rid;
    reply.answer.rdig = nothing;
    reply.view_hint = view_;
    reply.config = config_;
    reply.rd = place.rd;
    reply.ts_ms = place.ts_ms;
    return reply;
}

// R12, O6. A voter beside a replica of the group has the bodies from that one: they share a host
// and so a fault. To other voters f+1 positions in turn send them along, so at least one correct
// one does. Either way a voter that still lacks one asks for it.
bool GroupExecutor::brings_bodies(Slot slot, VoterId voter) const {
    if (strikes(options_.quirks, Quirk::bare_items)) return false;
    HostId host = membership_.voters[voter.value];
    for (std::uint32_t j = 0; const Member& member : membership_.group(group_)->members) {
        if (member.host == host && membership_.active(group_, Position(j)))
            return Position(j) == position_;
        ++j;
    }
    return in_rotation(slot);
}

bool GroupExecutor::in_rotation(Slot slot) const {
    std::uint64_t n = membership_.replicas_per_group();
    return (slot.value + position_.value) % n < membership_.quorum();
}

CommitDb GroupExecutor::commit_db(Slot slot, const SlotState& state, bool bodies) const {
    CommitDb message{group_, position_, slot, config_, {}, {}};
    for (const Item& item : state.items) {
        message.items.push_back(item.entry.item);
        bool acts = item.entry.item.kind == ItemKind::transaction ||
                    item.entry.item.kind == ItemKind::config;
        if (item.entry.body && bodies && acts) message.bodies.push_back(item.entry.body);
    }
    return message;
}

void GroupExecutor::tick(Now now) {
    for (std::uint32_t d = 0; d < voters_.size(); ++d) {
        VoterState& voter = voters_[d];
        if (voter.unanswered.empty()) continue;
        if (now.mono < voter.retry_at && !strikes(options_.quirks, Quirk::early_resend)) continue;
        std::uint32_t sent = 0;
        for (Slot slot : voter.unanswered) {
            if (sent++ >= options_.resend_slots) break;
            out_.send.push_back({{Endpoint::voter(VoterId(d))},
                                 commit_db(slot, slots_.at(slot), in_rotation(slot))});
        }
        voter.retry_at = now.mono + voter.patience;
        voter.patience = std::min(voter.patience * 2, options_.retransmit_max);
    }
}

std::optional<TimePoint> GroupExecutor::next_deadline() const {
    std::optional<TimePoint> next;
    for (const VoterState& voter : voters_)
        if (!voter.unanswered.empty() && (!next || voter.retry_at < *next)) next = voter.retry_at;
    return next;
}

// --- from the voters (R13)
// --------------------------------------------------------------------------

void GroupExecutor::receive(const Verified& message, Now now) {
    // One that has come with a configuration that is not known here says it again.
    if (message.from().role == Endpoint::Role::voter && message.from().index >= voters_.size())
        return;
    if (const auto* reply = std::get_if<DbReply>(&message.payload()))
        on_reply(*reply, now);
    else if (const auto* status = std::get_if<VoterStatus>(&message.payload()))
        on_status(*status, now);
    else if (const auto* fetch = std::get_if<FetchDbItems>(&message.payload()))
        on_fetch(*fetch);
}

void GroupExecutor::on_reply(const DbReply& reply, Now now) {
    VoterState& voter = voters_[reply.voter.value];
    voter.patience = options_.retransmit;
    auto found = slots_.find(reply.slot);
    if (reply.group != group_ || found == slots_.end()) return;
    SlotState& state = found->second;
    const bool open = state.undecided > 0;
    for (const ItemResult& answer : reply.items)
        for (Item& item : state.items)
            if (item.entry.item.index == answer.index && item.entry.item.rid == answer.rid)
                count(reply.slot, item, state, reply.voter, answer);
    // Its oldest answer is here; what it owes next gets its full patience. Newer answers do not
    // defer an older one that was lost: under load they never stop coming.
    if (!voter.unanswered.empty() && reply.slot == *voter.unanswered.begin() &&
        has_answered(state, reply.voter))
        voter.retry_at = now.mono + voter.patience;
    const bool settled = open && state.undecided == 0;
    for (std::uint32_t d = 0; d < voters_.size(); ++d)
        if (settled || VoterId(d) == reply.voter) let_go(reply.slot, state, VoterId(d));
    if (state.unanswered.empty()) forget(reply.slot);
    advance_executed();
}

bool GroupExecutor::has_answered(const SlotState& state, VoterId voter) {
    return std::all_of(state.items.begin(), state.items.end(),
                       [&](const Item& item) { return item.answers[voter.value].has_value(); });
}

// Whoever gave digests only is asked again while a result is missing: those whose turn it was to
// send it may all have lied, and a configuration in between changes the turns.
void GroupExecutor::let_go(Slot slot, SlotState& state, VoterId voter) {
    if (!has_answered(state, voter)) return;
    const bool needed = std::any_of(state.items.begin(), state.items.end(), [&](const Item& item) {
        return !item.settled() && !item.answers[voter.value]->has_result &&
               !item.cleared.contains(voter);
    });
    if (needed) return;
    voters_[voter.value].unanswered.erase(slot);
    state.unanswered.erase(voter);
}

void GroupExecutor::count(Slot slot, Item& item, SlotState& state, VoterId voter,
                          const ItemResult& answer) {
    std::optional<ItemResult>& mine = item.answers[voter.value];
    if (mine) {
        // The first answer counts; a later copy may bring the payload that the first left out.
        // One that says otherwise by now has cleared the result away: its client needs it no more.
        if (!mine->same_answer(answer)) item.cleared.insert(voter);
        if (!mine->same_answer(answer) || mine->has_result || !answer.has_result) return;
    }
    mine = answer;
    if (item.decided) {
        if (answer.rdig != item.accepted) blame(slot, voter);
        return;
    }
    std::size_t equal = 0;
    std::size_t answered = 0;
    const ItemResult* full = nullptr;
    for (const auto& other : item.answers) {
        if (!other) continue;
        ++answered;
        if (!other->same_answer(answer)) continue;
        ++equal;
        if (other->has_result) full = &*other;
    }
    if (equal >= membership_.database_quorum() && full != nullptr) {
        decide(slot, item, state, *full);
    } else if (answered == voters_.size() && !item.alarmed) {
        bool agreed = std::any_of(item.answers.begin(), item.answers.end(), [&](const auto& a) {
            auto same = [&](const auto& b) { return b->same_answer(*a); };
            return std::count_if(item.answers.begin(), item.answers.end(), same) >=
                   static_cast<std::ptrdiff_t>(membership_.database_quorum());
        });
        if (agreed) return;  // only the payload is missing
        settle(slot, item, state);
        item.alarmed = true;
        ++nondeterministic_;
        out_.events.push_back({Event::Kind::nondeterminism, {}, slot, item.entry.item.index, {}});
    }
}

void GroupExecutor::settle(Slot slot, const Item& item, SlotState& state) {
    if (!item.settled() && --state.undecided == 0) undecided_.erase(slot);
}

void GroupExecutor::decide(Slot slot, Item& item, SlotState& state, const ItemResult& accepted) {
    settle(slot, item, state);
    item.decided = true;
    item.accepted = accepted.rdig;
    for (std::uint32_t d = 0; d < voters_.size(); ++d)
        if (item.answers[d] && !item.answers[d]->same_answer(accepted)) blame(slot, VoterId(d));
    // A NOP has no answer of its own: the request was answered where it was executed.
    if (item.entry.item.kind == ItemKind::transaction) reply(slot, item.entry, accepted);
}

void GroupExecutor::blame(Slot slot, VoterId voter) {
    ++voters_[voter.value].disagreements;
    out_.events.push_back({Event::Kind::disagreement, Endpoint::voter(voter), slot,
                           voters_[voter.value].disagreements, "database answer"});
}

void GroupExecutor::reply(Slot slot, const DeliveredEntry& entry, ItemResult result) {
    const RequestId& rid = entry.item.rid;
    Reply reply{group_,           position_, slot, std::move(result), view_, config_, entry.item.rd,
                entry.item.ts_ms, {},        false};
    auto& kept = replies_[{rid.home, rid.client}];
    kept[rid.cseq] = reply;
    while (kept.size() > options_.replies_kept) kept.erase(kept.begin());
    ++replied_;
    if (options_.observed) out_.answered.push_back(reply);
    reply.receipt = entry.body && entry.body->receipt;
    // O6: f+1 positions in turn send the result, the others its digest; answer_again() sends all.
    bool full = in_rotation(slot);
    if (strikes(options_.quirks, full ? Quirk::digest_reply : Quirk::full_reply)) full = !full;
    if (!full && !reply.receipt) {
        reply.answer.result.clear();
        reply.answer.has_result = false;
    }
    out_.send.push_back({{Endpoint::of_client(rid.client)}, std::move(reply)});
}

void GroupExecutor::answer_again(const RequestId& rid, bool finished, bool receipt) {
    if (auto client = places_.find({rid.home, rid.client}); client != places_.end()) {
        const Place& place = client->second[rid.cseq.value % ClientWindow::size];
        if (place.cseq == rid.cseq && place.slot.value > 0) {
            Reply reply = place_reply(rid, place);
            reply.receipt = receipt;
            out_.send.push_back({{Endpoint::of_client(rid.client)}, std::move(reply)});
            return;
        }
    }
    if (auto client = replies_.find({rid.home, rid.client}); client != replies_.end()) {
        if (auto found = client->second.find(rid.cseq); found != client->second.end()) {
            Reply reply = found->second;
            reply.receipt = receipt;
            out_.send.push_back({{Endpoint::of_client(rid.client)}, std::move(reply)});
            return;
        }
    }
    // Without a reply and not finished, it is being executed.
    if (!finished) return;
    out_.send.push_back({{Endpoint::of_client(rid.client)},
                         Rejected{rid, Rejected::Reason::stale,
                                  "this request was finished before; its answer is gone"}});
}

// V10: a voter says where it stands. One that restarted lacks what it had not executed.
void GroupExecutor::on_status(const VoterStatus& status, Now now) {
    VoterState& voter = voters_[status.voter.value];
    if (voter.patience <= options_.retransmit) return;
    voter.patience = options_.retransmit;
    voter.retry_at = std::min(voter.retry_at, now.mono + voter.patience);
}

// V9: whoever holds (p, s) sends it again.
void GroupExecutor::on_fetch(const FetchDbItems& fetch) {
    auto partition = holders_.find(fetch.partition);
    if (partition == holders_.end()) return;
    std::set<Slot> wanted;
    for (auto it = partition->second.lower_bound(fetch.from);
         it != partition->second.end() && it->first <= fetch.to &&
         wanted.size() < options_.resend_slots;
         ++it)
        wanted.insert(it->second);
    for (Slot slot : wanted)
        out_.send.push_back(
            {{Endpoint::voter(fetch.voter)}, commit_db(slot, slots_.at(slot), in_rotation(slot))});
}

void GroupExecutor::note_config(ConfigVersion version, Now now) {
    if (std::exchange(config_, version) == version) return;
    voters_.resize(membership_.voters.size());
    voter_hosts_.resize(voters_.size(), nobody);
    for (std::uint32_t d = 0; d < voters_.size(); ++d) {
        if (voter_hosts_[d] == membership_.voters[d]) continue;
        for (auto& [slot, state] : slots_) {
            for (Item& item : state.items) {
                item.answers.resize(voters_.size());
                if (!item.decided) item.answers[d].reset();
            }
            if (state.undecided == 0) continue;
            state.unanswered.insert(VoterId(d));
            voters_[d].unanswered.insert(slot);
        }
        voters_[d].disagreements = 0;
        voters_[d].patience = options_.retransmit;
        voters_[d].retry_at = now.mono + options_.retransmit;
    }
    voter_hosts_ = membership_.voters;
}

// --- bookkeeping
// ------------------------------------------------------------------------------------

void GroupExecutor::forget(Slot slot) {
    auto found = slots_.find(slot);
    for (const Item& item : found->second.items) {
        for (const PartitionSeq& s : item.entry.item.seqs) {
            auto partition = holders_.find(s.partition);
            partition->second.erase(s.seq);
            if (partition->second.empty()) holders_.erase(partition);
        }
    }
    for (VoterId d : found->second.unanswered) voters_[d.value].unanswered.erase(slot);
    undecided_.erase(slot);
    slots_.erase(found);
}

void GroupExecutor::restart() {
    while (!slots_.empty()) forget(slots_.begin()->first);
    last_delivered_ = {};
}

void GroupExecutor::advance_executed() {
    Slot answered = slots_.empty() ? last_delivered_ : Slot(slots_.begin()->first.value - 1);
    answered_ = std::max(answered_, answered);
    if (answered_ - answered_logged_ < log_executed_every) return;
    answered_logged_ = answered_;
    out_.persist.push_back({ExecutedRecord{answered_}, false});
}

GroupExecutor::Report GroupExecutor::report() const {
    Report report;
    report.executed = executed();
    report.waiting_slots = slots_.size();
    for (std::uint32_t d = 0; d < voters_.size(); ++d) {
        if (voters_[d].disagreements > 0)
            report.disagreements[VoterId(d)] = voters_[d].disagreements;
        if (!voters_[d].unanswered.empty())
            report.unanswered[VoterId(d)] = voters_[d].unanswered.size();
    }
    report.replied = replied_;
    report.nondeterministic = nondeterministic_;
    return report;
}

}  // namespace bft::consensus::minbft
