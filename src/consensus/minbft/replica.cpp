#include "consensus/minbft/replica.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

Replica::Replica(const Membership& membership, GroupId group, Position position,
                 ReplicaOptions options)
    : membership_(membership),
      group_(group),
      position_(position),
      options_(options),
      chain_(membership, group),
      ordering_(options.window),
      votes_(membership.replicas_per_group(), CertifiedStream<Commit>(options.window)),
      committed_to_(membership.replicas_per_group()) {}

// --- inputs
// -----------------------------------------------------------------------------------------

void Replica::receive(const Verified& message, Now now) {
    const Endpoint& from = message.from();
    const Payload& payload = message.payload();
    if (const auto* body = std::get_if<Body>(&payload)) {
        on_request(*body, now);
    } else if (const auto* prepare = std::get_if<Prepare>(&payload)) {
        on_prepare(*prepare);
    } else if (const auto* commit = std::get_if<Commit>(&payload)) {
        on_commit(*commit);
    } else if (const auto* status = std::get_if<Status>(&payload)) {
        on_status(from, *status);
    } else if (const auto* found = std::get_if<Certificates>(&payload)) {
        for (const Prepare& each : found->prepares) on_prepare(each);
        for (const Commit& each : found->commits) on_commit(each);
    } else if (const auto* bodies = std::get_if<Bodies>(&payload)) {
        for (const Body& each : bodies->bodies) take_body(each);
    }
    advance(now);
}

bool Replica::delivered_before(const RequestId& rid) const {
    auto window = windows_.find({rid.home, rid.client});
    return window != windows_.end() && window->second.contains(rid.cseq);
}

bool Replica::finished(const RequestId& rid) const {
    auto window = windows_.find({rid.home, rid.client});
    return window != windows_.end() && rid.cseq < window->second.low();
}

// R1. The body is logged before anything that counts on it, since outputs are performed in order.
void Replica::on_request(const Body& body, Now now) {
    if (membership_.owner(body->id.home) != group_) return;
    if (missing_.contains(body->rd)) return take_body(body);
    if (delivered_before(body->id) || in_chain_.contains(body->id) || pending_.contains(body->id))
        return;
    std::uint32_t& count = pending_count_[{body->id.home, body->id.client}];
    if (count >= options_.pending_per_client) {
        out_.events.push_back({Event::Kind::dropped,
                               Endpoint::of_client(body->id.client),
                               {},
                               count,
                               "too many requests of this client wait"});
        return;
    }
    ++count;
    pending_[body->id] = {body->rd, now.mono + options_.forward_after};
    bodies_[body->rd] = body;
    out_.persist.push_back({BodyRecord{body}, false});
}

void Replica::take_body(const Body& body) {
    if (missing_.erase(body->rd) == 0) return;
    bodies_[body->rd] = body;
    out_.persist.push_back({BodyRecord{body}, false});
}

void Replica::on_prepare(Prepare prepare) {
    if (membership_.primary_of(prepare.view) != membership_.primary_of(view_)) return;
    ordering_.offer(std::move(prepare));
}

void Replica::on_commit(Commit commit) {
    if (commit.group != group_ || commit.position == position_) return;
    // The sender holds the chain up to there, and so must serve it (R8).
    Counter seen(std::min(commit.to.value, ordering_.processed().value + options_.window));
    ordering_.heard_of(seen);
    votes_[commit.position.value].offer(std::move(commit));
}

// What others have seen shows what we lack. A liar costs us one fetch in vain per T_rx.
void Replica::on_status(const Endpoint& from, const Status& status) {
    if (from.group != group_ || status.view != view_) return;
    auto bounded = [&](Counter seen, Counter processed) {
        return Counter(std::min(seen.value, processed.value + options_.window));
    };
    ordering_.heard_of(bounded(status.ordering_seen, ordering_.processed()));
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        if (j == position_.value) continue;
        votes_[j].heard_of(bounded(status.votes_seen[j], votes_[j].processed()));
    }
}

// Everything that an input may have made possible, in dependency order.
void Replica::advance(Now now) {
    drain_ordering(now);
    drain_votes();
    commit_if_ready();
    deliver_committed();
    forget_delivered();
    // Delivery moves the window: what waited behind it may go on.
    drain_ordering(now);
    commit_if_ready();
    check_invariants();
}

// --- the chain
// --------------------------------------------------------------------------------------

// R2, R3: the primary's stream in counter order; well-formed means the rigid map of counters to
// slots and a valid header. In view (0,0): U = 0 and N = 0, so slot b has counter b.
void Replica::drain_ordering(Now now) {
    while (chain_.tip() < delivered_ + options_.window) {
        std::optional<Prepare> prepare = ordering_.next();
        if (!prepare) return;
        std::optional<std::string> why;
        if (prepare->view != view_)
            why = "a PREPARE of a view without NEW-VIEW";
        else if (prepare->ui.cv.value != prepare->slot.value || prepare->ui.voids != 0)
            why = "the counter does not fit the slot";
        else
            why = chain_.why_invalid(*prepare->header);
        if (why) {
            ordering_.kill();
            out_.events.push_back(
                {Event::Kind::sender_dead, primary(), prepare->slot, prepare->ui.cv.value, *why});
            return;
        }
        append(std::move(*prepare), now);
    }
}

void Replica::append(Prepare prepare, Now now) {
    out_.persist.push_back({PrepareRecord{prepare}, false});
    const Link& link = chain_.append(std::move(prepare));
    const Header& header = *link.prepare.header;
    if (!link.own.empty()) tell_when_idle_ = true;
    std::uint64_t missing = 0;
    for (const OwnEntry& own : link.own) {
        const EntryHeader& entry = header.entries[own.index];
        in_chain_.insert(entry.rid);
        // R3: any header for the rid ends its wait, whatever its digest.
        if (auto waiting = pending_.find(entry.rid); waiting != pending_.end()) {
            if (waiting->second.rd != entry.rd) bodies_.erase(waiting->second.rd);
            auto count = pending_count_.find({entry.rid.home, entry.rid.client});
            if (--count->second == 0) pending_count_.erase(count);
            pending_.erase(waiting);
        }
        if (bodies_.contains(entry.rd) || missing_.contains(entry.rd)) continue;
        missing_[entry.rd] = {now.mono + options_.retransmit / 4, 0};
        ++missing;
    }
    out_.events.push_back(
        {Event::Kind::slot_appended, self(), header.slot, header.entries.size(), {}});
    if (missing > 0)
        out_.events.push_back({Event::Kind::body_missing, self(), header.slot, missing, {}});
}

// R4, ValidBody: the signature was verified; here the body must be what its header says.
const Body* Replica::valid_body(const EntryHeader& entry) const {
    auto found = bodies_.find(entry.rd);
    if (found == bodies_.end()) return nullptr;
    const Request& request = *found->second;
    return request.id == entry.rid && request.parts == entry.parts ? &found->second : nullptr;
}

bool Replica::has_bodies(const Link& link) const {
    return std::all_of(link.own.begin(), link.own.end(), [&](const OwnEntry& own) {
        return valid_body(link.prepare.header->entries[own.index]) != nullptr;
    });
}

// --- COMMIT
// -----------------------------------------------------------------------------------------

// R5: cumulative, one certificate outstanding, so the pipeline clocks itself to the TPM.
void Replica::commit_if_ready() {
    while (const Link* link = chain_.at(ready_to_.next())) {
        if (!has_bodies(*link)) break;
        ready_to_ = ready_to_.next();
    }
    if (sealing_ || ready_to_ <= committed_to_[position_.value]) return;
    const Link* link = chain_.at(ready_to_);
    if (link == nullptr) return;  // delivered already, on the votes of others
    Commit commit;
    commit.group = group_;
    commit.position = position_;
    commit.view = view_;
    commit.to = ready_to_;
    commit.hd = link->prepare.hd;
    commit.prepare = link->prepare;
    commit.prepare.header = nullptr;
    out_.persist.push_back({CommitIntent{commit}});
    out_.seal = Draft{commit_digest(membership_.cluster, commit)};
    sealing_ = std::move(commit);
}

void Replica::sealed(Ui ui, Now now) {
    invariant(sealing_.has_value(), "a certificate answers a draft");
    Commit commit = std::move(*sealing_);
    sealing_.reset();
    commit.ui = std::move(ui);
    // Not synced on its own: the USIG service keeps the newest certificate until the next intent
    // has made this record durable (T1).
    out_.persist.push_back({CommitRecord{commit}, false});
    out_.send.push_back({membership_.replicas(group_, position_), commit});
    out_.events.push_back({Event::Kind::committed, self(), commit.to, commit.ui.cv.value, {}});
    adopt_own(std::move(commit));
    advance(now);
}

void Replica::adopt_own(Commit commit) {
    votes_[position_.value].resume_after(commit.ui.cv);
    committed_to_[position_.value] = std::max(committed_to_[position_.value], commit.to);
}

// R7, in the sender's order. What is decided here depends on the content and on the sender's
// earlier messages only, so all correct replicas judge alike.
std::optional<std::string> Replica::why_invalid(const Commit& commit) const {
    if (commit.view != view_) return "a COMMIT of a view without NEW-VIEW";
    if (commit.prepare.ui.cv.value != commit.to.value || commit.prepare.ui.voids != 0)
        return "its prepare certificate's counter does not fit the slot";
    if (commit.to <= committed_to_[commit.position.value]) return "COMMITs must increase";
    return std::nullopt;
}

void Replica::drain_votes() {
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        while (std::optional<Commit> commit = votes_[j].next()) {
            Endpoint sender = Endpoint::replica(group_, Position(j));
            if (auto why = why_invalid(*commit)) {
                votes_[j].kill();
                out_.events.push_back(
                    {Event::Kind::sender_dead, sender, commit->to, commit->ui.cv.value, *why});
                break;
            }
            if (auto ours = chain_.digest_at(commit->to); ours && *ours != commit->hd) {
                // Two certificates for one value of an ordering counter: outside the model (3.15).
                out_.events.push_back({Event::Kind::order_conflict, primary(), commit->to, 0,
                                       "two PREPAREs with one counter value"});
                continue;
            }
            committed_to_[j] = commit->to;
            out_.persist.push_back({CommitRecord{std::move(*commit)}, false});
        }
    }
}

// R10: the (f+1)-th largest, positions being distinct by construction.
Slot Replica::group_commit() const {
    std::vector<Slot> sorted = committed_to_;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    return sorted[membership_.f];
}

// --- delivery
// ---------------------------------------------------------------------------------------

// R11: slots in order. A kept entry needs its body even where others committed it: the client's
// window moves by what the body says.
void Replica::deliver_committed() {
    Slot goal = std::min(group_commit(), chain_.tip());
    Slot before = delivered_;
    while (delivered_ < goal) {
        const Link* link = chain_.at(delivered_.next());
        invariant(link != nullptr, "undelivered slots are in the chain");
        if (!has_bodies(*link)) break;
        Delivery delivery = decide(*link);
        delivered_ = delivered_.next();
        out_.deliver.push_back(std::move(delivery));
    }
    if (delivered_ == before) return;
    out_.events.push_back(
        {Event::Kind::group_committed, self(), delivered_, delivered_ - before, {}});
    // Agreement checkpoints (CK1, CK2) join here: until they exist, the low watermark is what was
    // delivered. Earlier slots are served from the log.
    chain_.forget_up_to(delivered_);
    ready_to_ = std::max(ready_to_, delivered_);
}

// Not while a log is replayed: a faulty primary may have ordered a request twice, and the second
// entry needs the body as the first did.
void Replica::forget_delivered() {
    for (const Delivery& delivery : out_.deliver)
        for (const DeliveredEntry& entry : delivery.entries)
            if (!in_chain_.contains(entry.item.rid)) bodies_.erase(entry.item.rd);
}

Delivery Replica::decide(const Link& link) {
    const Header& header = *link.prepare.header;
    Delivery delivery{header.slot, {}};
    std::uint64_t seed = slot_seed(header.previous);
    for (const OwnEntry& own : link.own) {
        const EntryHeader& entry = header.entries[own.index];
        Body body = *valid_body(entry);
        bool fresh =
            windows_[{entry.rid.home, entry.rid.client}].insert(entry.rid.cseq, body->ack_low);
        DbItem item;
        item.index = own.index;
        item.kind = fresh ? ItemKind::transaction : ItemKind::nop;
        item.rid = entry.rid;
        item.rd = entry.rd;
        item.ts_ms = header.ts_ms;
        item.seed = seed + own.index;
        item.seqs = own.seqs;
        if (!fresh)
            out_.events.push_back({Event::Kind::duplicate_ordered,
                                   Endpoint::of_client(entry.rid.client),
                                   header.slot,
                                   own.index,
                                   {}});
        delivery.entries.push_back({std::move(item), std::move(body)});
    }
    for (const OwnEntry& own : link.own) {
        const EntryHeader& entry = header.entries[own.index];
        in_chain_.erase(in_chain_.find(entry.rid));
    }
    return delivery;
}

Replica::Report Replica::report() const {
    Report report{view_,      chain_.tip(),    committed_to_[position_.value],
                  delivered_, pending_.size(), missing_.size(),
                  {}};
    if (ordering_.dead()) report.dead.push_back(primary());
    for (std::uint32_t j = 0; j < votes_.size(); ++j)
        if (votes_[j].dead()) report.dead.push_back(Endpoint::replica(group_, Position(j)));
    return report;
}

void Replica::check_invariants() const {
    invariant(delivered_ <= chain_.tip(), "nothing beyond the chain is delivered");
    invariant(chain_.low() == delivered_, "the chain begins after what was delivered");
    invariant(delivered_ <= ready_to_ && ready_to_ <= chain_.tip(),
              "what is ready lies in the chain");
    invariant(chain_.tip() <= delivered_ + options_.window, "the chain stays within the window");
    invariant(!sealing_ || sealing_->to > committed_to_[position_.value], "COMMITs increase");
}

}  // namespace bft::consensus::minbft
