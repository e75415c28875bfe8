#include "checker.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t violations_kept = 8;

std::string at(Slot slot) {
    return " at slot " + std::to_string(slot.value);
}

}  // namespace

void Checker::fail(const std::string& property, const std::string& text) {
    if (violations_.size() < violations_kept) violations_.push_back({property, text});
}

// --- counters and agreement ---

void Checker::certified(UsigId identity, const Ui& ui, const Digest& digest) {
    if (broken_.contains(identity)) return;
    auto& of_identity = certificates_[identity];
    std::size_t known = of_identity.size();
    auto place = of_identity.emplace_hint(of_identity.end(), ui.cv, digest);
    bool fresh = of_identity.size() > known;
    if (!fresh && place->second != digest)
        fail("S-USIG", "counter " + std::to_string(identity.value) + " certified two digests at " +
                           std::to_string(ui.cv.value));
    Counter& before = counters_[identity];
    if (fresh && ui.cv.value != before.value + 1 + ui.voids)
        fail("S-USIG", "counter " + std::to_string(identity.value) + " went from " +
                           std::to_string(before.value) + " to " + std::to_string(ui.cv.value));
    before = std::max(before, ui.cv);
    if (auto draft = drafts_.find(digest); draft != drafts_.end()) {
        certified(draft->second);
        drafts_.erase(draft);
    }
}

void Checker::adopted(const Endpoint& replica, Slot slot) {
    if (slot > reference_.decided(replica.group))
        fail("S-CHAIN",
             name(replica) + " adopted a state beyond what its group delivered" + at(slot));
    Slot& before = shown_[replica].delivered;
    before = std::max(before, slot);
}

void Checker::voided(UsigId identity, Counter cv) {
    reach_("hole voided");
    // As if the void had been certified: a certificate for the value would be a second one.
    if (!certificates_[identity].emplace(cv, Digest{}).second)
        fail("S-USIG",
             "a value of counter " + std::to_string(identity.value) + " is certified and void");
    Counter& before = counters_[identity];
    if (cv != before.next())
        fail("S-USIG", "counter " + std::to_string(identity.value) + " has a void at " +
                           std::to_string(cv.value) + " after " + std::to_string(before.value));
    before = std::max(before, cv);
}

void Checker::windows(const minbft::Replica& replica, GroupId group) {
    std::uint64_t digest = 0;
    for (const auto& [key, window] : replica.windows()) {
        digest = mix(digest, mix(key.first.value, key.second.value));
        digest = mix(digest, window.low().value);
        digest = mix(digest, std::hash<std::bitset<ClientWindow::size>>{}(window.bits()));
    }
    auto [known, fresh] = windows_.emplace(std::pair(group, replica.delivered()), digest);
    if (!fresh && known->second != digest)
        fail("S-WINDOW",
             "windows differ in group " + std::to_string(group.value) + at(replica.delivered()));
}

// --- what correct nodes say ---

void Checker::sending(const Endpoint& from, const Send& send) {
    check_view_messages(from, send);
    if (const auto* items = std::get_if<CommitDb>(&send.payload)) {
        check_commit_db(from, *items);
    } else if (const auto* answers = std::get_if<DbReply>(&send.payload)) {
        // What a liar asks for is between him and the voter.
        if (std::any_of(send.to.begin(), send.to.end(), [&](const auto& e) { return correct(e); }))
            check_db_reply(from, *answers);
    } else if (const auto* reply = std::get_if<Reply>(&send.payload)) {
        check_reply(from, *reply);
    }
    check_bodies(from, send);
}

void Checker::check_commit_db(const Endpoint& from, const CommitDb& message) {
    for (const DbItem& item : message.items) {
        const auto* known = reference_.entry(message.slot, item.index);
        if (known == nullptr || !known->decided || known->owner != message.group ||
            known->item != item)
            fail("S-SEQ", name(from) + " sends an item that is not the chain's" + at(message.slot));
    }
}

void Checker::check_db_reply(const Endpoint& from, const DbReply& reply) {
    if (tampered_.contains(reply.voter)) return;
    for (const ItemResult& answer : reply.items) {
        const auto* known = reference_.entry(reply.slot, answer.index);
        auto& mine = executed_[reply.voter];
        if (known == nullptr || !known->executed ||
            (reply.slot > mine.base && !mine.places.contains({reply.slot, answer.index})))
            fail("S-PERSIST", name(from) + " answers what it has not committed" + at(reply.slot));
        else if (!known->result.same_answer(answer))
            fail("S-REPLY", name(from) + " answers wrongly" + at(reply.slot));
    }
}

void Checker::check_reply(const Endpoint& from, const Reply& reply) {
    const auto* known = reference_.entry(reply.slot, reply.answer.index);
    if (known == nullptr || !known->executed || !known->result.same_answer(reply.answer))
        fail("S-REPLY", name(from) + " replies what the reference does not know" + at(reply.slot));
}

// S-CONF: bodies go to their owner group, voters and primary-capable nodes only.
void Checker::check_bodies(const Endpoint& from, const Send& send) {
    auto check = [&](const Body& body) {
        PartitionId home = body->id.home;
        if (home.value == 0) return;  // configurations are everybody's
        for (const Endpoint& to : send.to)
            if (to.role == Endpoint::Role::client ||
                (to.role == Endpoint::Role::replica && !reference_.ever_owned(to.group, home)))
                fail("S-CONF", name(from) + " sends a body to " + name(to));
    };
    if (const auto* body = std::get_if<Body>(&send.payload)) check(*body);
    if (const auto* found = std::get_if<Bodies>(&send.payload))
        for (const Body& body : found->bodies) check(body);
    if (const auto* items = std::get_if<CommitDb>(&send.payload))
        for (const Body& body : items->bodies) check(body);
}

void Checker::event(const Endpoint& node, const Event& event) {
    if (!blameless(node)) return;  // what it sees is what somebody made of its database
    switch (event.kind) {
        case Event::Kind::halted:
            fail("S-EVID", name(node) + " halted" + at(event.slot) + ": " + event.text);
            break;
        case Event::Kind::sender_dead:
        case Event::Kind::equivocation:
        case Event::Kind::disagreement:
            // A primary says of itself that its counter was spoiled.
            if (event.peer != node && blameless(event.peer))
                fail("S-EVID", name(node) + " says " + to_string(event.kind) + " of " +
                                   name(event.peer) + at(event.slot) + ": " + event.text);
            break;
        case Event::Kind::config_in_force:
            configured(node, event);
            break;
        case Event::Kind::database_differs:
            if (blameless(event.peer))
                fail("S-CKPT", name(node) + " says that the database of " + name(event.peer) +
                                   " differs" + at(event.slot) + ": " + event.text);
            break;
        case Event::Kind::skipped: {
            skipped_.insert({event.slot, static_cast<std::uint32_t>(event.count)});
            // CF12: at its slot the cluster's features allowed it, and its client had changed.
            const Configuration& config = reference_.config(event.slot);
            if (config.features() < features_skip || !config.clients.contains(event.peer.client))
                fail("S-DEC", name(node) + " skipped an entry without reason" + at(event.slot));
            reach_("an entry of who is no client is skipped");
            break;
        }
        case Event::Kind::nondeterminism:
        case Event::Kind::order_conflict:
            fail("S-EVID", name(node) + " raised " + to_string(event.kind) + at(event.slot));
            break;
        default:
            break;
    }
}

// S-CFG: what correct nodes find in force, the order made, and every group has delivered it.
void Checker::configured(const Endpoint& node, const Event& event) {
    const Configuration* made = reference_.made_at(event.slot);
    if (made == nullptr || made->version.value != event.count)
        return fail("S-CFG",
                    name(node) + " follows a configuration that was not kept" + at(event.slot));
    for (const Group& group : made->groups)
        if (made->signs_barrier(group) && reference_.decided(group.id) < event.slot)
            return fail("S-CFG", name(node) + " passed the barrier" + at(event.slot) +
                                     " before group " + std::to_string(group.id.value) +
                                     " delivered it");
}

bool Checker::blameless(const Endpoint& node) const {
    bool spoiled =
        node.role == Endpoint::Role::voter && once_tampered_.contains(VoterId(node.index));
    return correct(node) && !spoiled;
}

void Checker::refused(const Endpoint& from, const std::string& why) {
    fail("S-VALID", "a message of " + name(from) + " was refused: " + why);
}

// --- databases ---

void Checker::tampered(VoterId voter) {
    tampered_.insert(voter);
    once_tampered_.insert(voter);
}

void Checker::database_stable(VoterId voter, Slot slot, const Digest& root) {
    auto expected = reference_.root(slot);
    if (expected && *expected != root)
        fail("S-CKPT", name(Endpoint::voter(voter)) + " has a DB-STABLE" + at(slot) +
                           " that is not the reference's");
    if (expected) reach_("DB-STABLE equal to the reference");
}

void Checker::restored(VoterId voter, Slot slot, const std::map<PartitionId, Seq>& next) {
    tampered_.erase(voter);
    executed_[voter] = {slot, {}, {}, next};
}

void Checker::executed(VoterId voter, const Execution& execution, const ItemResult& result) {
    if (tampered_.contains(voter)) return;
    auto who = [&] {
        return name(Endpoint::voter(voter)) + at(execution.slot) + " index " +
               std::to_string(execution.item.index);
    };
    auto& mine = executed_[voter];
    const auto* known = reference_.entry(execution.slot, execution.item.index);
    if (known == nullptr || !known->decided || known->owner != execution.group ||
        reference_.decided(execution.group) < execution.slot)
        return fail("S-VOTER-AUTH", who() + ": not committed by its owner group");
    if (known->item != execution.item) return fail("S-VOTER-AUTH", who() + ": another item");
    for (const PartitionSeq& s : execution.item.seqs) {
        Seq& next = mine.next.try_emplace(s.partition, Seq(1)).first->second;
        if (next != s.seq)
            fail("S-VOTER-ORDER", who() + ": partition " + std::to_string(s.partition.value) +
                                      " was at " + std::to_string(next.value) + ", not " +
                                      std::to_string(s.seq.value));
        next = s.seq.next();
    }
    if (!mine.places.emplace(execution.slot, execution.item.index).second)
        fail("S-EXACTLY-ONCE", who() + ": executed again");
    if (execution.item.kind == ItemKind::transaction && result.outcome != Outcome::duplicate &&
        !mine.effects.insert(execution.item.rid).second)
        fail("S-EXACTLY-ONCE", who() + ": the request took effect again");
    if (auto wrong = reference_.execute(execution.slot, execution.item.index))
        return fail("S-VOTER-ORDER", who() + ": " + *wrong);
    if (execution.item.kind == ItemKind::transaction && !known->result.same_answer(result))
        fail("S-DB-EQ", who() + ": another result than the reference");
}

void Checker::database(VoterId voter, const std::map<PartitionId, Seq>& next,
                       const std::map<PartitionId, Rows>& rows) {
    if (tampered_.contains(voter)) return;
    for (const auto& [partition, seq] : next) {
        auto expected = reference_.next().find(partition);
        Seq at_reference = expected == reference_.next().end() ? Seq(1) : expected->second;
        if (seq > at_reference)
            fail("S-VOTER-ORDER", name(Endpoint::voter(voter)) + " is ahead of the reference");
        if (seq != at_reference) continue;
        auto mine = rows.find(partition);
        auto theirs = reference_.rows().find(partition);
        Rows ours = mine == rows.end() ? Rows{} : mine->second;
        Rows wanted = theirs == reference_.rows().end() ? Rows{} : theirs->second;
        if (ours != wanted)
            fail("S-DB-EQ", name(Endpoint::voter(voter)) + " differs in partition " +
                                std::to_string(partition.value));
    }
}

// --- clients ---

void Checker::accepted(const RequestId& rid, Slot slot, const ItemResult& answer, TimePoint invoked,
                       TimePoint now) {
    auto what = [&] {
        return "request " + std::to_string(rid.client.value) + "/" +
               std::to_string(rid.home.value) + "/" + std::to_string(rid.cseq.value);
    };
    const auto* known = reference_.entry(slot, answer.index);
    if (known == nullptr || !known->executed || known->header.rid != rid ||
        !known->result.same_answer(answer) || known->result.result != answer.result)
        fail("S-REPLY", what() + " was answered wrongly" + at(slot));
    if (!accepted_.emplace(rid, Accepted{slot, answer.index, invoked, now}).second)
        fail("S-REPLY", what() + " was accepted twice");
}

// --- at the end ---

void Checker::finish() {
    if (auto difference = reference_.serial_difference())
        fail("S-DB-EQ", "the serial execution differs: " + *difference);
    check_linear();
}

// S-LIN: the chain is the witness; a request invoked after another's answer comes later in it.
void Checker::check_linear() {
    std::vector<Accepted> by_invocation;
    for (const auto& [rid, accepted] : accepted_) by_invocation.push_back(accepted);
    std::vector<Accepted> by_answer = by_invocation;
    std::sort(by_invocation.begin(), by_invocation.end(),
              [](const auto& a, const auto& b) { return a.invoked < b.invoked; });
    std::sort(by_answer.begin(), by_answer.end(),
              [](const auto& a, const auto& b) { return a.accepted < b.accepted; });
    std::pair<Slot, std::uint32_t> latest{};
    auto answered = by_answer.begin();
    for (const Accepted& request : by_invocation) {
        for (; answered != by_answer.end() && answered->accepted < request.invoked; ++answered)
            latest = std::max(latest, {answered->slot, answered->index});
        if (std::pair(request.slot, request.index) < latest)
            return fail("S-LIN", "a request was ordered" + at(request.slot) +
                                     " although one answered before it has" + at(latest.first));
    }
}

std::uint64_t Checker::digest() const {
    std::uint64_t digest = reference_.tip().value;
    for (Slot s(1); s <= reference_.tip(); s = s.next())
        if (const auto* slot = reference_.slot(s)) digest = mix(digest, DigestHash{}(slot->hd));
    for (const auto& [partition, rows] : reference_.rows())
        for (std::uint64_t row : rows) digest = mix(digest, row);
    for (const auto& [rid, accepted] : accepted_)
        digest = mix(digest, mix(rid.cseq.value, accepted.slot.value));
    return digest;
}

}  // namespace bft::sim
