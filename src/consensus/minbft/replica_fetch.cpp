// Loss, laggards, patience: what a replica asks for and tells when time passes (R1, R8, R14, R15).
#include "consensus/minbft/replica.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus::minbft {

namespace {

constexpr std::uint64_t fetch_certificates_max = 128;
constexpr std::size_t fetch_bodies_max = 128;
constexpr std::uint32_t stable_told_every = 4;  // vouches
constexpr std::size_t wanted_max = 64;
constexpr std::uint32_t wanted_attempts = 16;  // whoever still needs it asks again

}  // namespace

void Replica::tick(Now now) {
    now_ = now.mono;
    if (active_ && !watch_.running()) watch_.begin(now.mono);  // the first tick
    if (new_view_by_ == TimePoint{}) new_view_by_ = now.mono + patience(options_.new_view_patience);
    let_time_pass(now);
    if (resend_) {
        std::vector<Endpoint> group = membership_.replicas(group_, position_);
        if (const auto* commit = std::get_if<Commit>(&*resend_))
            out_.send.push_back({std::move(group), *commit});
        else
            out_.send.push_back({std::move(group), std::get<ViewChangePtr>(*resend_)});
        resend_.reset();
    }
    if (now.mono >= check_at_) {
        check_at_ = now.mono + options_.retransmit / 4;
        fetch_missing(now);
        fetch_bodies(now);
        fetch_wanted(now);
        transfer_if_due(now);
        ask_for_barrier(now);
        forward_pending(now);
        suspect_if_due(now);
        ask_for_void();
        resend_view_messages(now);
    }
    if (now.mono >= status_at_) {
        status_at_ = now.mono + options_.status_interval;
        send_status();
    }
    if (now.mono >= vouch_at_) {
        vouch_at_ = now.mono + options_.vouch_interval;
        send_vouch();
        repeat_proofs();
        if (++told_stable_ % stable_told_every == 0) tell_others_stable();
    }
    advance(now);
}

std::optional<TimePoint> Replica::next_deadline() const {
    if (resend_) return TimePoint{};
    return std::min({status_at_, check_at_, vouch_at_});
}

// The first attempt goes to who must have it, later ones to everybody in turn (D18: a replica may
// be silent towards us only).
Endpoint Replica::ask(std::uint32_t attempt, std::optional<Endpoint> first) const {
    std::vector<Endpoint> others = membership_.replicas(group_, position_);
    if (needs_elders())
        for (const Endpoint& each : membership_.replicas(coordinators())) others.push_back(each);
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
    for (std::uint32_t p = 0; p < ordering_.size(); ++p) {
        const auto& stream = ordering_[p].stream;
        // What is here and waits for the window is no gap.
        if (stream.peek() == nullptr)
            fetch_gap(StreamId::ordering(PrimaryId(p)), stream.missing(), stream.processed(), now);
    }
    for (std::uint32_t j = 0; j < votes_.size(); ++j) {
        if (j == position_.value || !still_matters(Position(j))) continue;
        const auto& stream = votes_[j].stream;
        fetch_gap(StreamId::vote(group_, Position(j)), stream.missing(), stream.processed(), now);
    }
}

void Replica::fetch_gap(StreamId stream, std::optional<std::pair<Counter, Counter>> missing,
                        Counter processed, Now now) {
    if (!missing) {
        gaps_.erase(stream);
        transfer_.gone.erase(stream);
        return;
    }
    auto [found, fresh] = gaps_.try_emplace(stream);
    Gap& gap = found->second;
    if (fresh || gap.processed != processed) {
        // A gap that closes by itself in time was only a message on its way.
        bool patient = fresh && !strikes(options_.quirks, Quirk::early_fetch);
        gap = {processed, now.mono + (patient ? options_.retransmit / 4 : Duration{}), 0};
        transfer_.gone.erase(stream);
    }
    if (now.mono < gap.ask_at) return;
    if (adopt_vouched(stream, gap, *missing)) return;
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
        Endpoint target = ask(missing.attempts, primary());
        if (missing.config && missing.attempts % 2 == 1) {
            // Whose entry it is keeps it or nullifies it: one of them has it.
            auto owner = configs_.newest().owner(PartitionId(0));
            auto members = membership_.replicas(*owner);
            std::erase(members, self());
            target = members[(missing.attempts / 2 + position_.value) % members.size()];
        }
        FetchBodies& fetch = wanted[target];
        if (fetch.rds.size() >= fetch_bodies_max) continue;
        fetch.rds.push_back(rd);
        fetch.slots.push_back(missing.slot);
        missing.ask_at = now.mono + options_.retransmit;
        ++missing.attempts;
    }
    for (auto& [target, fetch] : wanted)
        if (!fetch.rds.empty()) out_.send.push_back({{target}, std::move(fetch)});
}

void Replica::want_header(const HeaderStore::Missing& missing, const Endpoint& from) {
    if (wanted_headers_.size() >= wanted_max || wanted_headers_.contains(missing.hd)) return;
    wanted_headers_[missing.hd] = {missing.to, from, now_, 0};
}

void Replica::want_cert(const Digest& nvd, const Endpoint& from) {
    if (wanted_certs_.size() >= wanted_max || wanted_certs_.contains(nvd)) return;
    wanted_certs_[nvd] = {{}, from, now_ + options_.retransmit / 4, 0};
}

void Replica::fetch_wanted(Now now) {
    auto ask_for = [&](std::map<Digest, Wanted>& all, auto&& question) {
        for (auto it = all.begin(); it != all.end();) {
            Wanted& wanted = it->second;
            if (wanted.attempts >= wanted_attempts) {
                it = all.erase(it);
                continue;
            }
            if (now.mono >= wanted.ask_at) {
                out_.send.push_back(
                    {{ask(wanted.attempts++, wanted.from)}, question(it->first, wanted)});
                wanted.ask_at = now.mono + options_.retransmit;
            }
            ++it;
        }
    };
    ask_for(wanted_headers_, [&](const Digest& hd, const Wanted& wanted) {
        std::uint64_t span = std::min(options_.window, wanted.to.value) - 1;
        return FetchHeaders{Slot(wanted.to.value - span), wanted.to, hd};
    });
    ask_for(wanted_certs_, [](const Digest& nvd, const Wanted&) { return FetchViewCert{nvd}; });
    judge_again_ = true;
}

// Accepted from the last one down, as far as each is what its successor names.
void Replica::on_headers(const Headers& found) {
    if (found.headers.empty()) return;
    Digest expected = header_digest(*found.headers.back());
    auto wanted = wanted_headers_.find(expected);
    if (wanted == wanted_headers_.end()) return;
    wanted_headers_.erase(wanted);
    for (auto it = found.headers.rbegin(); it != found.headers.rend(); ++it) {
        if (header_digest(**it) != expected) break;
        if (headers_.find(expected) == nullptr) {
            headers_.keep(expected, *it);
            out_.persist.push_back({HeaderRecord{*it}, false});
        }
        expected = (*it)->previous;
    }
    judge_again_ = true;
}

// T_fwd: a client may have reached us only.
void Replica::forward_pending(Now now) {
    if (!active_) return;
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
    status.active = active_;
    status.tip = chain_.tip();
    status.committed = own().last.to;
    status.delivered = delivered_;
    status.executed = executed_;
    status.low = chain_.low();
    status.config = configs_.newest().version;
    for (const Ordering& each : ordering_) status.ordering_seen.push_back(each.track.processed);
    for (const Votes& each : votes_) status.votes_seen.push_back(each.track.processed);
    return status;
}

void Replica::send_status() {
    std::vector<Endpoint> to = membership_.replicas(group_, position_);
    for (const Endpoint& each : membership_.all_primaries()) to.push_back(each);
    if (needs_elders())
        for (const Endpoint& each : membership_.replicas(coordinators())) to.push_back(each);
    out_.send.push_back({std::move(to), status()});
}

// The primary lets slots fill while databases work (P2). That they are done it hears at once, so
// that a lone client does not wait for the next STATUS.
void Replica::note_executed(Slot executed, Slot answered) {
    executed_ = executed;
    answered_ = std::max(answered_, answered);
    while (!unexecuted_.empty() && unexecuted_.front().first <= executed) {
        backlog_ -= unexecuted_.front().second;
        unexecuted_.pop_front();
    }
    snapshot_if_due();
    if (!tell_when_idle_ || executed_ != chain_.tip()) return;
    tell_when_idle_ = false;
    out_.send.push_back({{primary()}, status()});
}

}  // namespace bft::consensus::minbft
