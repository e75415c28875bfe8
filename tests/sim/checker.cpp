#include "checker.hpp"

#include "consensus/signed_bytes.hpp"
#include "disk.hpp"

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
    auto [place, fresh] = certificates_.emplace(std::pair(identity, ui.cv), digest);
    if (!fresh && place->second != digest)
        fail("S-USIG", "counter " + std::to_string(identity.value) + " certified two digests at " +
                           std::to_string(ui.cv.value));
    Counter& before = counters_[identity];
    if (fresh && ui.cv.value != before.value + 1 + ui.voids)
        fail("S-USIG", "counter " + std::to_string(identity.value) + " went from " +
                           std::to_string(before.value) + " to " + std::to_string(ui.cv.value));
    before = std::max(before, ui.cv);
}

void Checker::certifying(const Commit& commit) {
    Slot& to = committing_[{commit.group, commit.position.value}];
    to = std::max(to, commit.to);
}

void Checker::appended(const Endpoint& replica, const Prepare& prepare) {
    if (const auto* known = reference_.slot(prepare.slot)) {
        if (known->hd != prepare.hd)
            fail("S-CHAIN", name(replica) + " holds another header" + at(prepare.slot));
        if (known->view == prepare.view && known->hd != prepare.hd)
            fail("S-VIEW1", "two headers in one view" + at(prepare.slot));
        return;
    }
    if (prepare.slot != reference_.tip().next()) {
        fail("S-CHAIN", name(replica) + " has a gap before" + at(prepare.slot));
        return;
    }
    Digest previous = reference_.tip().value == 0 ? genesis_header_digest(membership_.cluster)
                                                  : reference_.slot(reference_.tip())->hd;
    if (prepare.header->previous != previous || header_digest(*prepare.header) != prepare.hd)
        fail("S-CHAIN", name(replica) + " took a header that does not fit" + at(prepare.slot));
    reference_.append(prepare);
}

void Checker::delivered(const Endpoint& replica, const Delivery& delivery) {
    GroupId group = replica.group;
    std::uint32_t behind = 0;
    for (std::uint32_t j = 0; j < membership_.replicas_per_group(); ++j) {
        auto found = committing_.find({group, j});
        if (found != committing_.end() && found->second >= delivery.slot) ++behind;
    }
    if (behind < membership_.f + 1)
        fail("S-COMMIT", name(replica) + " delivered with " + std::to_string(behind) + " COMMITs" +
                             at(delivery.slot));
    if (auto wrong = reference_.decide(group, delivery.slot, bodies_))
        return fail("S-DEC", name(replica) + ": " + *wrong);

    const auto* expected = reference_.slot(delivery.slot);
    std::size_t own = 0;
    for (const auto& entry : expected->entries) own += entry.owner == group ? 1 : 0;
    // Once more after a restart: perhaps only what a client may still ask for.
    bool again = delivery.slot <= shown_[replica].delivered;
    if (own != delivery.entries.size() && !again)
        return fail("S-DEC",
                    name(replica) + " delivered another number of entries" + at(delivery.slot));
    for (const DeliveredEntry& entry : delivery.entries) {
        const auto* known = reference_.entry(delivery.slot, entry.item.index);
        if (known == nullptr || known->owner != group || known->item != entry.item)
            fail("S-SEQ", name(replica) + " delivered another item" + at(delivery.slot));
        else if (!entry.body || entry.body->rd != known->header.rd)
            fail("S-DEC", name(replica) + " delivered without the body" + at(delivery.slot));
    }
    Slot& before = shown_[replica].delivered;
    before = std::max(before, delivery.slot);
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

void Checker::check_certified(const Endpoint& from, Counter cv, const Digest& digest) {
    auto [place, fresh] = shown_[from].certified.emplace(cv, digest);
    if (!fresh && place->second != digest)
        fail("S-PERSIST", name(from) + " says two things with one certificate");
}

void Checker::sending(const Endpoint& from, const Send& send) {
    if (const auto* prepare = std::get_if<Prepare>(&send.payload)) {
        if (from.role != Endpoint::Role::primary) return;
        check_certified(from, prepare->ui.cv, prepare->hd);
        Slot& shown = shown_[from].prepared;
        shown = std::max(shown, prepare->slot);
    } else if (const auto* commit = std::get_if<Commit>(&send.payload)) {
        if (from != Endpoint::replica(commit->group, commit->position)) return;
        check_certified(from, commit->ui.cv, commit_digest(membership_.cluster, *commit));
        Slot& shown = shown_[from].committed;
        shown = std::max(shown, commit->to);
    } else if (const auto* items = std::get_if<CommitDb>(&send.payload)) {
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
    for (const ItemResult& answer : reply.items) {
        const auto* known = reference_.entry(reply.slot, answer.index);
        auto& mine = executed_[reply.voter];
        if (known == nullptr || !known->executed ||
            !mine.places.contains({reply.slot, answer.index}))
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
        auto owner = membership_.owner(body->id.home);
        for (const Endpoint& to : send.to)
            if (to.role == Endpoint::Role::client ||
                (to.role == Endpoint::Role::replica && to.group != owner))
                fail("S-CONF", name(from) + " sends a body to " + name(to));
    };
    if (const auto* body = std::get_if<Body>(&send.payload)) check(*body);
    if (const auto* found = std::get_if<Bodies>(&send.payload))
        for (const Body& body : found->bodies) check(body);
    if (const auto* items = std::get_if<CommitDb>(&send.payload))
        for (const Body& body : items->bodies) check(body);
}

void Checker::event(const Endpoint& node, const Event& event) {
    switch (event.kind) {
        case Event::Kind::sender_dead:
        case Event::Kind::disagreement:
            if (correct(event.peer))
                fail("S-EVID", name(node) + " says " + to_string(event.kind) + " of " +
                                   name(event.peer) + at(event.slot) + ": " + event.text);
            break;
        case Event::Kind::nondeterminism:
        case Event::Kind::order_conflict:
            fail("S-EVID", name(node) + " raised " + to_string(event.kind) + at(event.slot));
            break;
        default:
            break;
    }
}

void Checker::refused(const Endpoint& from, const std::string& why) {
    fail("S-VALID", "a message of " + name(from) + " was refused: " + why);
}

// --- databases ---

void Checker::executed(VoterId voter, const Execution& execution, const ItemResult& result) {
    std::string who = name(Endpoint::voter(voter)) + at(execution.slot) + " index " +
                      std::to_string(execution.item.index);
    auto& mine = executed_[voter];
    const auto* known = reference_.entry(execution.slot, execution.item.index);
    if (known == nullptr || !known->decided || known->owner != execution.group ||
        reference_.decided(execution.group) < execution.slot)
        return fail("S-VOTER-AUTH", who + ": not committed by its owner group");
    if (known->item != execution.item) return fail("S-VOTER-AUTH", who + ": another item");
    for (const PartitionSeq& s : execution.item.seqs) {
        Seq& next = mine.next.try_emplace(s.partition, Seq(1)).first->second;
        if (next != s.seq)
            fail("S-VOTER-ORDER", who + ": partition " + std::to_string(s.partition.value) +
                                      " was at " + std::to_string(next.value) + ", not " +
                                      std::to_string(s.seq.value));
        next = s.seq.next();
    }
    if (!mine.places.emplace(execution.slot, execution.item.index).second)
        fail("S-EXACTLY-ONCE", who + ": executed again");
    if (execution.item.kind == ItemKind::transaction && result.outcome != Outcome::duplicate &&
        !mine.effects.insert(execution.item.rid).second)
        fail("S-EXACTLY-ONCE", who + ": the request took effect again");
    if (auto wrong = reference_.execute(execution.slot, execution.item.index))
        return fail("S-VOTER-ORDER", who + ": " + *wrong);
    if (execution.item.kind == ItemKind::transaction && !known->result.same_answer(result))
        fail("S-DB-EQ", who + ": another result than the reference");
}

void Checker::database(VoterId voter, const std::map<PartitionId, Seq>& next,
                       const std::map<PartitionId, Rows>& rows) {
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
    std::string what = "request " + std::to_string(rid.client.value) + "/" +
                       std::to_string(rid.home.value) + "/" + std::to_string(rid.cseq.value);
    const auto* known = reference_.entry(slot, answer.index);
    if (known == nullptr || !known->executed || known->header.rid != rid ||
        !known->result.same_answer(answer) || known->result.result != answer.result)
        fail("S-REPLY", what + " was answered wrongly" + at(slot));
    if (!accepted_.emplace(rid, Accepted{slot, answer.index, invoked, now}).second)
        fail("S-REPLY", what + " was accepted twice");
}

// --- restarts ---

void Checker::crashed(const Endpoint& node, const SimDisk& disk) {
    auto found = shown_.find(node);
    if (found == shown_.end()) return;
    const Shown& shown = found->second;
    Slot needed = std::max(shown.prepared, shown.committed);
    for (Slot s(1); s <= needed; s = s.next()) {
        if (!disk.has_header(s))
            return fail("S-PERSIST", name(node) + " lost the header" + at(s) + " after using it");
        if (node.role != Endpoint::Role::replica || s > shown.committed) continue;
        for (const auto& entry : reference_.slot(s)->entries)
            if (entry.owner == node.group && !disk.body(entry.header.rd))
                return fail("S-PERSIST", name(node) + " lost a body" + at(s) + " after COMMIT");
    }
}

void Checker::recovered(const Endpoint& node, Slot tip, Slot committed) {
    const Shown& shown = shown_[node];
    if (tip < shown.prepared || tip < shown.committed || committed < shown.committed)
        fail("S-PERSIST", name(node) + " came back behind what it had said");
}

// --- at the end ---

void Checker::finish() {
    if (auto difference = reference_.serial_difference())
        fail("S-DB-EQ", "the serial execution differs: " + *difference);
    // S-LIN: the chain is the witness; a request invoked after another's answer comes later in it.
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
        digest = mix(digest, DigestHash{}(reference_.slot(s)->hd));
    for (const auto& [partition, rows] : reference_.rows())
        for (std::uint64_t row : rows) digest = mix(digest, row);
    for (const auto& [rid, accepted] : accepted_)
        digest = mix(digest, mix(rid.cseq.value, accepted.slot.value));
    return digest;
}

}  // namespace bft::sim
