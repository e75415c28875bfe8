// Loss, laggards, patience: what a replica asks for and tells when time passes (R1, R8, R14, R15).
#include "consensus/minbft/replica.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::uint64_t fetch_certificates_max = 128;
constexpr std::size_t fetch_bodies_max = 128;

}  // namespace

void Replica::tick(Now now) {
    if (resend_) {
        out_.send.push_back({membership_.replicas(group_, position_), *resend_});
        resend_.reset();
    }
    if (now.mono >= check_at_) {
        check_at_ = now.mono + options_.retransmit / 4;
        fetch_missing(now);
        fetch_bodies(now);
        forward_pending(now);
    }
    if (now.mono >= status_at_) {
        status_at_ = now.mono + options_.status_interval;
        send_status();
    }
    advance(now);
}

std::optional<TimePoint> Replica::next_deadline() const {
    bool waiting = !missing_.empty() || !pending_.empty() || ordering_.missing().has_value() ||
                   std::any_of(votes_.begin(), votes_.end(),
                               [](const auto& stream) { return stream.missing().has_value(); });
    if (resend_) return TimePoint{};
    return waiting ? std::min(status_at_, check_at_) : status_at_;
}

// The first attempt goes to who must have it, later ones to everybody in turn (D18: a replica may
// be silent towards us only).
Endpoint Replica::ask(std::uint32_t attempt, std::optional<Endpoint> first) const {
    std::vector<Endpoint> others = membership_.replicas(group_, position_);
    if (first && (attempt == 0 || others.empty())) return *first;
    if (first) {
        std::erase(others, *first);
        others.push_back(*first);
        --attempt;
    }
    // Different replicas begin with different peers.
    return others[(attempt + position_.value) % others.size()];
}

void Replica::fetch_missing(Now now) {
    PrimaryId leader = membership_.primary_of(view_);
    // A full window is no gap: what is held will be processed when delivery goes on.
    if (chain_.tip() < delivered_ + options_.window)
        fetch_gap(StreamId::ordering(leader), ordering_.missing(), ordering_.processed(), now);
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        if (j == position_.value) continue;
        fetch_gap(StreamId::vote(group_, Position(j)), votes_[j].missing(), votes_[j].processed(),
                  now);
    }
}

void Replica::fetch_gap(StreamId stream, std::optional<std::pair<Counter, Counter>> missing,
                        Counter processed, Now now) {
    if (!missing) {
        gaps_.erase(stream);
        return;
    }
    auto [found, fresh] = gaps_.try_emplace(stream);
    Gap& gap = found->second;
    if (fresh || gap.processed != processed) {
        // A gap that closes by itself in time was only a message on its way.
        gap = {processed, now.mono + (fresh ? options_.retransmit / 4 : Duration{}), 0};
    }
    if (now.mono < gap.ask_at) return;
    Endpoint sender = stream.kind == StreamId::Kind::ordering
                          ? Endpoint::primary(stream.primary)
                          : Endpoint::replica(stream.group, stream.position);
    Counter to(std::min(missing->second.value, missing->first.value + fetch_certificates_max - 1));
    Endpoint target = ask(gap.attempts, sender);
    out_.send.push_back({{target}, FetchCertificates{stream, missing->first, to}});
    out_.events.push_back(
        {Event::Kind::gap, sender, {}, missing->first.value, "asked " + to_string(target)});
    gap.ask_at = now.mono + options_.retransmit;
    ++gap.attempts;
}

void Replica::fetch_bodies(Now now) {
    std::map<Endpoint, FetchBodies> wanted;
    for (auto& [rd, missing] : missing_) {
        if (now.mono < missing.ask_at) continue;
        FetchBodies& fetch = wanted[ask(missing.attempts, primary())];
        if (fetch.rds.size() >= fetch_bodies_max) continue;
        fetch.rds.push_back(rd);
        missing.ask_at = now.mono + options_.retransmit;
        ++missing.attempts;
    }
    for (auto& [target, fetch] : wanted)
        if (!fetch.rds.empty()) out_.send.push_back({{target}, std::move(fetch)});
}

// T_fwd: a client may have reached us only.
void Replica::forward_pending(Now now) {
    for (auto& [rid, waiting] : pending_) {
        if (now.mono < waiting.forward_at) continue;
        auto body = bodies_.find(waiting.rd);
        if (body == bodies_.end()) continue;
        out_.send.push_back({{primary()}, body->second});
        waiting.forward_at = now.mono + options_.forward_after;
    }
}

Status Replica::status() const {
    Status status;
    status.view = view_;
    status.tip = chain_.tip();
    status.committed = committed_to_[position_.value];
    status.delivered = delivered_;
    status.executed = executed_;
    status.low = chain_.low();
    status.ordering_seen = ordering_.processed();
    for (const auto& stream : votes_) status.votes_seen.push_back(stream.processed());
    return status;
}

void Replica::send_status() {
    std::vector<Endpoint> to = membership_.replicas(group_, position_);
    to.push_back(primary());
    out_.send.push_back({std::move(to), status()});
}

// The primary lets slots fill while databases work (P2). That they are done it hears at once, so
// that a lone client does not wait for the next STATUS.
void Replica::note_executed(Slot executed) {
    executed_ = executed;
    if (!tell_when_idle_ || executed_ != chain_.tip()) return;
    tell_when_idle_ = false;
    out_.send.push_back({{primary()}, status()});
}

}  // namespace bft::consensus::minbft
