#include "consensus/voter.hpp"

#include "base/invariant.hpp"
#include "consensus/rules.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>
#include <bit>

namespace bft::consensus {

namespace {

std::uint64_t bit(std::uint32_t position) {
    return std::uint64_t{1} << position;
}

std::uint64_t cost_of(const DbItem& item) {
    return 192 + 96 * item.seqs.size();  // candidate, claims and map nodes, roughly
}

std::uint64_t cost_of(const Request& request) {
    return 256 + request.raw.size() + request.op.size();
}

bool body_fits(const DbItem& item, const Request& body) {
    bool acts = item.kind == ItemKind::transaction || item.kind == ItemKind::config;
    return acts && body.rd == item.rd && body.id == item.rid &&
           std::equal(body.parts.begin(), body.parts.end(), item.seqs.begin(), item.seqs.end(),
                      [](PartitionId p, const PartitionSeq& s) { return p == s.partition; });
}

}  // namespace

/// What moves sequence numbers and does nothing leaves no row: its answer follows from the item.
ItemResult Voter::no_effect(const DbItem& item) {
    ItemResult result;
    result.index = item.index;
    result.rid = item.rid;
    bool checkpoint_or_config = item.kind == ItemKind::checkpoint || item.kind == ItemKind::config;
    result.outcome = checkpoint_or_config ? Outcome::ok : Outcome::duplicate;
    result.rdig = result_digest(result.outcome, 0, {});
    result.has_result = true;
    return result;
}

void Voter::drop_payload(ItemResult& result) {
    result.result.clear();
    result.has_result = false;
}

Voter::Voter(const Membership& membership, VoterId self, VoterOptions options,
             const std::map<PartitionId, Seq>& next, ConfigurationPtr config)
    : membership_(membership),
      self_(self),
      options_(options),
      config_(config
                  ? std::move(config)
                  : std::make_shared<const Configuration>(consensus::configuration_of(membership))),
      answers_(options.answers_kept, options.answer_bytes) {
    membership_.clients.clear();
    follow_config();
    invariant(options.workers > 0, "somebody executes");
    for (const auto& [partition, owner] : membership.owners) {
        Lane& lane = lanes_[partition];
        if (auto known = next.find(partition); known != next.end()) lane.next = known->second;
        lane.dispatch = lane.next;
    }
}

void Voter::follow_config() {
    if (config_->version != membership_.version) follow(membership_, *config_);
    for (const Group& group : membership_.groups)
        invariant(group.members.size() <= 64, "positions fit a bit mask");
}

std::uint32_t Voter::votes_for(const Key& key, const Candidate& candidate) const {
    const Group& group = *membership_.group(key.group);
    std::uint32_t votes = 0;
    for (std::uint32_t j = 0; j < group.members.size(); ++j)
        if ((candidate.voters & bit(j)) != 0 &&
            (group.active(Position(j)) || !rules::members_by_slot))
            ++votes;
    return votes;
}

void Voter::receive(const Verified& message, Now now) {
    // Members that are to come, or have left for good, have no say; they say it again.
    const Endpoint& from = message.from();
    if (from.role == Endpoint::Role::replica && !membership_.usig_of(from)) return;
    if (const auto* commit = std::get_if<CommitDb>(&message.payload()))
        on_commit_db(message.from(), *commit, now);
    else if (const auto* bodies = std::get_if<Bodies>(&message.payload()))
        on_bodies(message.from(), *bodies);
    schedule(now);
}

void Voter::on_commit_db(const Endpoint& from, const CommitDb& message, Now now) {
    std::map<Digest, Body> bodies;
    for (const Body& body : message.bodies) bodies.emplace(body->rd, body);
    std::vector<const DbItem*> past;
    for (const DbItem& item : message.items) {
        Key key{message.slot, item.index, message.group};
        switch (standing(item)) {
            case Standing::malformed:
                note(Event::Kind::dropped, from, key.slot, key.index, "malformed item");
                break;
            case Standing::beyond_window:
                note(Event::Kind::dropped, from, key.slot, key.index, "item beyond the window");
                break;
            case Standing::past:
                past.push_back(&item);
                break;
            case Standing::taken:
                note_past(from, item);
                disagree(from, key, "a sequence number was another item's");
                break;
            case Standing::open: {
                auto body = bodies.find(item.rd);
                on_open_item(from, key, item, body == bodies.end() ? nullptr : body->second, now);
                break;
            }
        }
    }
    if (!past.empty()) on_past_items(from, message, past);
}

Voter::Standing Voter::standing(const DbItem& item) const {
    std::size_t passed = 0;
    bool has_home = false;
    const PartitionSeq* before = nullptr;
    for (const PartitionSeq& s : item.seqs) {
        if (before != nullptr && s.partition <= before->partition) return Standing::malformed;
        before = &s;
        auto lane = lanes_.find(s.partition);
        if (lane == lanes_.end() || s.seq.value == 0) return Standing::malformed;
        has_home = has_home || s.partition == item.rid.home;
        if (s.seq < lane->second.next)
            ++passed;
        else if (s.seq - lane->second.next >= options_.window)
            return Standing::beyond_window;
    }
    if (!has_home) return Standing::malformed;
    if (passed == item.seqs.size()) return Standing::past;
    return passed > 0 ? Standing::taken : Standing::open;
}

// What the database has no answer to, although it stands beyond: it was executed long ago, or
// never.
void Voter::note_past(const Endpoint& from, const DbItem& item) {
    for (const PartitionSeq& s : item.seqs) {
        if (s.seq >= lanes_.at(s.partition).next) continue;
        auto& by_position = asked_again_[{s.partition, from.group}];
        by_position.resize(group_size(from.group));
        Seq& largest = by_position[from.index];
        largest = std::max(largest, s.seq);
    }
}

std::map<PartitionId, Seq> Voter::asked_again() const {
    std::map<PartitionId, Seq> all;
    for (auto [place, by_position] : asked_again_) {
        for (std::uint32_t j = 0; j < by_position.size(); ++j)
            if (!membership_.active(place.second, Position(j))) by_position[j] = Seq(0);
        std::sort(by_position.rbegin(), by_position.rend());
        Seq& largest = all[place.first];
        largest = std::max(largest, by_position[membership_.f]);
    }
    return all;
}

// V1: at most one live vote per position and place, and the first one wins.
void Voter::on_open_item(const Endpoint& from, const Key& key, const DbItem& item, const Body& body,
                         Now now) {
    Digest digest = item_digest(key.group, key.slot, item);
    auto found = entries_.find(key);
    if (found != entries_.end() && found->second.stage != Stage::voting) {
        Candidate& chosen = found->second.chosen();
        if (chosen.digest != digest) return disagree(from, key, "vote against what was decided");
        chosen.voters |= bit(from.index);
        attach_body(from, key, found->second, chosen, body);
        return;
    }
    if (found != entries_.end()) {
        for (Candidate& candidate : found->second.candidates) {
            if ((candidate.voters & bit(from.index)) == 0) continue;
            if (candidate.digest != digest && !rules::first_vote_wins) continue;
            if (candidate.digest != digest) return disagree(from, key, "changed its vote");
            return attach_body(from, key, found->second, candidate, body);
        }
    } else {
        for (const PartitionSeq& s : item.seqs)
            if (s.seq < lanes_.at(s.partition).dispatch)
                return disagree(from, key, "a sequence number is another item's");
    }
    if (strikes(options_.quirks, Quirk::full_quota) || !make_room(from, key, cost_of(item)))
        return note(Event::Kind::dropped, from, key.slot, key.index, "over the sender's quota");

    auto [place, fresh] = entries_.try_emplace(key);
    Entry& entry = place->second;
    if (fresh) entry.since = now.mono;
    auto candidate = std::find_if(entry.candidates.begin(), entry.candidates.end(),
                                  [&](const Candidate& c) { return c.digest == digest; });
    if (candidate == entry.candidates.end()) {
        entry.candidates.push_back({digest, item, nullptr, {}, 0});
        candidate = std::prev(entry.candidates.end());
        index_claims(key, *candidate, now);
    }
    candidate->voters |= bit(from.index);
    charge(from, key, entry, cost_of(item));
    attach_body(from, key, entry, *candidate, body);
    if (!next_check_) next_check_ = now.mono + options_.gap_timeout;
    // V2: f+1 distinct positions of one group, so that one of them is correct.
    if (votes_for(key, *candidate) >= rules::item_quorum(membership_))
        decide(key, entry, static_cast<std::size_t>(candidate - entry.candidates.begin()), now);
}

void Voter::on_past_items(const Endpoint& from, const CommitDb& message,
                          const std::vector<const DbItem*>& items) {
    std::vector<ItemResult> results;
    Lookup lookup{message.group, message.slot, {}, from};
    for (const DbItem* item : items) {
        bool forgotten = strikes(options_.quirks, Quirk::forgotten_answer);
        auto* known = forgotten ? nullptr : answers_.find(message.group, message.slot, item->index);
        if (known != nullptr) {
            if (known->item != item_digest(message.group, message.slot, *item)) {
                disagree(from, {message.slot, item->index, message.group},
                         "vote against what was executed");
                continue;
            }
            // Who asks a second time has not got the payload either.
            bool again = (known->voters & bit(from.index)) != 0;
            known->voters |= bit(from.index);
            results.push_back(known->result);
            if (!again && !in_rotation(message.slot)) drop_payload(results.back());
        } else if (item->kind != ItemKind::transaction) {
            results.push_back(no_effect(*item));
        } else {
            lookup.items.push_back(*item);
        }
    }
    if (!results.empty()) answer(from, message.group, message.slot, std::move(results));
    if (lookup.items.empty()) return;
    Sender& sender = senders_[from];
    if (sender.lookups >= options_.lookups_max) return;  // it will ask again
    if (!lookups_.emplace(from, message.slot).second) return;
    ++sender.lookups;
    out_.lookup.push_back(std::move(lookup));
}

void Voter::on_bodies(const Endpoint& from, const Bodies& message) {
    for (const Body& body : message.bodies) {
        auto wanted = bodies_wanted_.find(body->rd);
        if (wanted == bodies_wanted_.end()) continue;
        Key key = wanted->second;
        if (from.role != Endpoint::Role::replica || from.group != key.group) continue;
        Entry& entry = entries_.at(key);
        attach_body(from, key, entry, entry.chosen(), body);
    }
}

// An entry that is decided needs its body whatever its bringer's quota says; how many such bodies
// we ask for is bounded.
void Voter::attach_body(const Endpoint& from, const Key& key, Entry& entry, Candidate& candidate,
                        const Body& body) {
    if (!body || candidate.body || entry.stage == Stage::running) return;
    if (!body_fits(candidate.item, *body)) return;
    if (entry.stage == Stage::voting && !make_room(from, key, cost_of(*body))) return;
    candidate.body = body;
    candidate.body_from = from;
    charge(from, key, entry, cost_of(*body));
    if (entry.stage != Stage::decided) return;
    bodies_wanted_.erase(body->rd);
    for (const PartitionSeq& s : candidate.item.seqs) runnable_.insert(s.partition);
}

// --- what a sender may cost ---

// Earlier places push out later ones, so that a quota full of later votes never keeps out the one
// that everything waits for; what is pushed out is sent again by its sender.
bool Voter::make_room(const Endpoint& from, const Key& key, std::uint64_t bytes) {
    Sender& sender = senders_[from];
    while (sender.bytes + bytes > options_.sender_bytes) {
        if (sender.charges.empty() || sender.charges.rbegin()->first <= key) return false;
        withdraw(from, Key(sender.charges.rbegin()->first));
    }
    return true;
}

void Voter::charge(const Endpoint& from, const Key& key, Entry& entry, std::uint64_t bytes) {
    Sender& sender = senders_[from];
    auto [place, fresh] = sender.charges.try_emplace(key, 0);
    if (fresh) ++entry.charged;
    place->second += bytes;
    sender.bytes += bytes;
}

void Voter::release_charge(const Endpoint& from, const Key& key, Entry& entry) {
    auto sender = senders_.find(from);
    if (sender == senders_.end()) return;
    auto place = sender->second.charges.find(key);
    if (place == sender->second.charges.end()) return;
    sender->second.bytes -= place->second;
    sender->second.charges.erase(place);
    --entry.charged;
}

void Voter::release_charges(const Key& key, Entry& entry) {
    for (std::uint32_t j = 0; j < group_size(key.group); ++j)
        release_charge(Endpoint::replica(key.group, Position(j)), key, entry);
    invariant(entry.charged == 0, "only replicas of the group pay for its items");
}

void Voter::withdraw(const Endpoint& from, const Key& key) {
    Entry& entry = entries_.at(key);
    release_charge(from, key, entry);
    for (std::size_t i = entry.candidates.size(); i-- > 0;) {
        Candidate& candidate = entry.candidates[i];
        if (candidate.body && candidate.body_from == from) {
            candidate.body = nullptr;
            if (entry.stage == Stage::decided) bodies_wanted_.emplace(candidate.item.rd, key);
        }
        if (entry.stage != Stage::voting) continue;
        candidate.voters &= ~bit(from.index);
        if (candidate.voters == 0) remove_candidate(key, entry, i, nullptr);
    }
    if (entry.charged == 0) erase(key);
}

}  // namespace bft::consensus
