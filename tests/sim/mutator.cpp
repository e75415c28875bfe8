#include "mutator.hpp"

#include "consensus/configuration.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/codec.hpp"

#include <algorithm>
#include <map>
#include <type_traits>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t payloads_kept = 96;
constexpr std::size_t values_kept = 128;

template <class T>
void keep(std::deque<T>& list, T value, std::size_t most) {
    list.push_back(std::move(value));
    if (list.size() > most) list.pop_front();
}

}  // namespace

/// Goes through all fields of a message in a fixed order and changes the one with the number that
/// it was given.
class Mutator::Walk {
public:
    Walk(Mutator& owner, std::size_t chosen) : owner_(owner), chosen_(chosen) {}
    [[nodiscard]] std::size_t fields() const { return at_; }

    template <class Tag, class Rep>
    void operator()(StrongId<Tag, Rep>& id) {
        (*this)(id.value);
    }
    template <class N>
    requires std::is_integral_v<N>
    void operator()(N& number) {
        if (mine()) number = static_cast<N>(other_number(number));
        owner_.keep_number(static_cast<std::uint64_t>(number));
    }
    template <class E>
    requires std::is_enum_v<E>
    void operator()(E& value) {
        if (mine())
            value = static_cast<E>(static_cast<std::underlying_type_t<E>>(value) ^
                                   owner_.prng_.between(1, 3));
    }
    void operator()(Digest& digest) {
        if (mine()) digest = other_digest(digest);
        keep(owner_.digests_, digest, values_kept);
    }
    void operator()(Bytes& bytes) {
        if (!mine()) return;
        if (bytes.empty() || owner_.prng_.chance(300))
            bytes.push_back(static_cast<std::uint8_t>(owner_.prng_.next()));
        else if (owner_.prng_.chance(500))
            bytes.pop_back();
        else
            bytes[owner_.prng_.below(bytes.size())] ^= 1;
    }
    template <class T>
    void operator()(std::vector<T>& list) {
        if (mine()) reshape(list);
        for (T& each : list) (*this)(each);
    }
    template <class T>
    void operator()(std::optional<T>& value) {
        if (mine()) value.reset();
        if (value) (*this)(*value);
    }
    template <class K, class V>
    void operator()(std::map<K, V>& map) {
        if (mine() && !map.empty()) map.erase(map.begin());
        for (auto& [key, value] : map) (*this)(value);
    }
    void operator()(ClientWindow& window) {
        if (mine()) window = {};
    }
    template <class A, class B>
    void operator()(std::pair<A, B>& m) {
        all(m.first, m.second);
    }
    template <class T>
    void operator()(std::shared_ptr<const T>& value) {
        if (!value) return;
        auto copy = std::make_shared<T>(*value);
        (*this)(*copy);
        value = std::move(copy);
    }

    void operator()(Ui& m) { all(m.cv, m.voids, m.certificate); }
    void operator()(RequestId& m) { all(m.client, m.home, m.cseq); }
    // All else follows from the bytes, in the decoder.
    void operator()(Request& m) { all(m.raw, m.bundle_index, m.signature); }
    void operator()(EntryHeader& m) { all(m.rid, m.parts, m.kind, m.rd); }
    void operator()(Header& m) { all(m.slot, m.previous, m.ts_ms, m.entries); }
    void operator()(Prepare& m) { all(m.view, m.slot, m.hd, m.ui, m.header); }
    void operator()(Commit& m) {
        all(m.group, m.position, m.view, m.to, m.hd, m.nvd, m.prepare, m.from_new_view, m.ui);
    }
    void operator()(StreamId& m) { all(m.kind, m.primary, m.group, m.position); }
    void operator()(VoidRequest& m) { all(m.stream, m.cv); }
    void operator()(VoidPromise& m) { all(m.stream, m.cv, m.group, m.position, m.signature); }
    void operator()(VoidCert& m) { all(m.stream, m.cv, m.promises); }
    void operator()(Status& m) {
        all(m.view, m.active, m.tip, m.committed, m.delivered, m.executed, m.low, m.ordering_seen,
            m.votes_seen);
        if (m.config.value > 1) all(m.config);
    }
    void operator()(FetchCertificates& m) { all(m.stream, m.from, m.to); }
    void operator()(PositionSignature& m) { all(m.position, m.signature); }
    void operator()(Checkpoint& m) {
        all(m.group, m.position, m.slot, m.hd, m.ts_ms, m.state, m.signature);
        if (!m.config.is_zero()) all(m.config);
    }
    void operator()(StableCert& m) {
        all(m.group, m.slot, m.hd, m.ts_ms, m.state, m.signers);
        if (!m.config.is_zero()) all(m.config);
    }
    void operator()(Configuration& m) { all(m.version, m.owners); }
    void operator()(BarrierCert& m) { all(m.slot, m.config, m.groups); }
    void operator()(FetchConfig& m) { all(m.version, m.features); }
    void operator()(Vouch& m) { all(m.group, m.position, m.votes, m.ordering, m.signature); }
    void operator()(RequestViewChange& m) {
        all(m.group, m.position, m.view, m.reason, m.signature);
    }
    void operator()(TriggerCertificate& m) { all(m.view, m.requests); }
    void operator()(EntryRef& m) { all(m.slot, m.index); }
    void operator()(ViewChangeRef& m) { all(m.group, m.position, m.cv, m.digest); }
    void operator()(NewView& m) { all(m.view, m.slot, m.hd, m.nullset, m.view_changes, m.ui); }
    void operator()(NewViewAccept& m) {
        all(m.group, m.position, m.view, m.nvd, m.cv, m.signature);
    }
    void operator()(ViewCert& m) { all(m.new_view, m.group, m.signers); }
    void operator()(LastCommit& m) { all(m.view, m.to, m.hd, m.nvd); }
    void operator()(VoteEntry& m) { all(m.view_change, m.target, m.last, m.rest, m.ui); }
    void operator()(ViewChange& m) {
        all(m.group, m.position, m.view, m.last, m.proof, m.from_new_view, m.view_cert, m.stable,
            m.base, m.vouches, m.log, m.voids, m.ui);
        all(m.barrier);
    }
    void operator()(Certificates& m) {
        all(m.stream, m.prepares, m.new_views, m.voids, m.commits, m.view_changes);
    }
    void operator()(Resign& m) { all(m.primary, m.view, m.signature); }
    void operator()(FetchHeaders& m) { all(m.from, m.to, m.hd); }
    void operator()(Headers& m) { all(m.headers); }
    void operator()(FetchViewCert& m) { all(m.nvd); }
    void operator()(FetchViewChanges& m) { all(m.wanted); }
    void operator()(ViewChanges& m) { all(m.messages); }
    void operator()(FetchBodies& m) { all(m.rds); }
    void operator()(Bodies& m) { all(m.bodies); }
    void operator()(PartitionSeq& m) { all(m.partition, m.seq); }
    void operator()(DbItem& m) { all(m.index, m.kind, m.rid, m.rd, m.ts_ms, m.seed, m.seqs); }
    void operator()(CommitDb& m) { all(m.group, m.position, m.slot, m.config, m.items, m.bodies); }
    void operator()(ItemResult& m) {
        all(m.index, m.rid, m.outcome, m.code, m.rdig, m.result, m.has_result);
    }
    void operator()(DbReply& m) { all(m.voter, m.group, m.slot, m.items); }
    void operator()(VoterStatus& m) { all(m.voter, m.next, m.checkpoint); }
    void operator()(FetchDbItems& m) { all(m.voter, m.partition, m.from, m.to); }
    void operator()(Reply& m) {
        all(m.group, m.position, m.slot, m.answer, m.view_hint, m.config, m.rd, m.ts_ms);
    }
    void operator()(Replies& m) { all(m.replies); }
    void operator()(Rejected& m) { all(m.rid, m.reason); }
    void operator()(Gone& m) { all(m.stream, m.line); }
    void operator()(FetchState& m) { all(m.beyond, m.slot, m.part); }
    void operator()(DerivedState& m) {
        all(m.slot, m.hd, m.ts_ms, m.null_digest, m.next_seq, m.windows, m.unfinished);
        if (!m.config.is_zero()) all(m.config);
    }
    void operator()(StatePart& m) {
        all(m.cert, m.part, m.parts, m.state, m.vouches);
        all(m.barrier);
    }
    void operator()(EquivocationProof& m) {
        all(m.stream, m.cv, m.first, m.first_ui, m.second, m.second_ui);
    }
    // Between voters; tests/unit has their liars.
    void operator()(DbCheckpoint&) {}
    void operator()(DbCut&) {}
    void operator()(FetchDbLeaves&) {}
    void operator()(DbLeaves&) {}
    void operator()(FetchDbChunk&) {}
    void operator()(DbChunk&) {}
    void operator()(DbGone&) {}

private:
    template <class... M>
    void all(M&... members) {
        ((*this)(members), ...);
    }
    bool mine() { return at_++ == chosen_; }

    template <class N>
    std::uint64_t other_number(N number) {
        auto n = static_cast<std::uint64_t>(number);
        Prng& prng = owner_.prng_;
        if (prng.chance(600)) return prng.chance(500) ? n + 1 : n - 1;
        if (prng.chance(500) && !owner_.numbers_.empty())
            return owner_.numbers_[prng.below(owner_.numbers_.size())];
        static constexpr std::uint64_t edges[] = {0, 1, ~std::uint64_t{0}, std::uint64_t{1} << 63};
        return edges[prng.below(std::size(edges))];
    }
    Digest other_digest(Digest digest) {
        Prng& prng = owner_.prng_;
        if (prng.chance(700) && !owner_.digests_.empty())
            return owner_.digests_[prng.below(owner_.digests_.size())];
        if (prng.chance(300)) return {};
        digest.bytes[prng.below(digest.bytes.size())] ^= 1;
        return digest;
    }
    template <class T>
    void reshape(std::vector<T>& list) {
        Prng& prng = owner_.prng_;
        if (list.empty()) {
            // No message has null pointers.
            if constexpr (!requires { list.front().get(); }) list.emplace_back();
            return;
        }
        std::size_t one = prng.below(list.size());
        switch (prng.below(5)) {
            case 0:
                list.erase(list.begin() + static_cast<std::ptrdiff_t>(one));
                break;
            case 1:
                list.push_back(T(list[one]));
                break;
            case 2:
                list.resize(one);
                break;
            case 3:
                std::swap(list[one], list[prng.below(list.size())]);
                break;
            default:
                list.insert(list.end(), 64, T(list[one]));
                break;
        }
    }

    Mutator& owner_;
    std::size_t chosen_;
    std::size_t at_ = 0;
};

void Mutator::keep_number(std::uint64_t number) {
    keep(numbers_, number, values_kept);
}

void Mutator::saw(const Payload& payload) {
    // A body's signature is its client's: there is nothing to sign anew.
    if (prng_.chance(std::holds_alternative<Body>(payload) ? 20 : 100))
        keep(seen_, payload, payloads_kept);
}

// One field, seldom two.
Payload Mutator::twisted(Payload payload) {
    do {
        Payload counted = payload;
        Walk count(*this, ~std::size_t{0});
        std::visit(count, counted);
        if (count.fields() == 0) break;
        Walk change(*this, prng_.below(count.fields()));
        std::visit(change, payload);
    } while (prng_.chance(200));
    return payload;
}

std::vector<Endpoint> Mutator::receivers(std::vector<Endpoint> to) {
    if (prng_.chance(500)) std::erase_if(to, [&](const Endpoint&) { return prng_.chance(500); });
    if (to.empty() || prng_.chance(100)) {
        to.clear();
        for (const auto& [other, node] : cluster_.nodes)
            if (other != self_ && prng_.chance(300)) to.push_back(other);
    }
    return to;
}

void Mutator::send_like(const Payload& payload, std::vector<Endpoint> to) {
    to = receivers(std::move(to));
    if (to.empty()) return;
    if (prng_.chance(150)) return send_bytes(payload, std::move(to));
    sign_and_send(twisted(payload), std::move(to));
}

void Mutator::send_old() {
    if (seen_.empty()) return;
    const Payload old = seen_[prng_.below(seen_.size())];
    std::vector<Endpoint> to = receivers(cluster_.membership.all_replicas());
    if (prng_.chance(300)) return cluster_.network.send(self_, {std::move(to), old});
    send_like(old, std::move(to));
}

// What the decoder makes of it is judged like any other message.
void Mutator::send_bytes(const Payload& payload, std::vector<Endpoint> to) {
    Bytes frame = wire::encode({self_, to.front(), payload});
    for (std::uint64_t changes = prng_.between(1, 3); changes > 0 && !frame.empty(); --changes) {
        std::size_t at = prng_.below(frame.size());
        auto place = frame.begin() + static_cast<std::ptrdiff_t>(at);
        switch (prng_.below(4)) {
            case 0:
                frame[at] ^= static_cast<std::uint8_t>(1u << prng_.below(8));
                break;
            case 1:
                frame.erase(place);
                break;
            case 2:
                frame.insert(place, static_cast<std::uint8_t>(prng_.next()));
                break;
            default:
                frame.resize(at);
                break;
        }
    }
    auto message = wire::decode(frame);
    if (!message) return cluster_.reach("changed bytes refused by the decoder");
    cluster_.reach("changed bytes decoded");
    cluster_.network.send(self_, {std::move(to), std::move(message->payload)});
}

template <class M>
void Mutator::certify(M message, const Digest& digest, std::vector<Endpoint> to) {
    if (prng_.chance(600)) return send(std::move(message), std::move(to));
    cluster_.reach("a changed message is certified");
    cluster_.tpm_of(self_).create(
        *cluster_.membership.usig_of(self_), digest,
        [this, message = std::move(message), to = std::move(to)](Ui ui) mutable {
            if constexpr (std::is_same_v<M, ViewChangePtr>) {
                ViewChange sealed = *message;
                sealed.ui = std::move(ui);
                message = std::make_shared<const ViewChange>(std::move(sealed));
            } else {
                message.ui = std::move(ui);
            }
            send(std::move(message), std::move(to));
        });
}

// The owner's keys and counters sign anything; nobody else's can be had.
void Mutator::sign_and_send(Payload payload, std::vector<Endpoint> to) {
    const Digest& cluster = cluster_.membership.cluster;
    auto leads = [&](View view) {
        return Endpoint::primary(cluster_.membership.primary_of(view)) == self_;
    };
    auto speaks = [&](const auto& m) { return Endpoint::replica(m.group, m.position) == self_; };
    bool honestly = prng_.chance(900);
    if (auto* checkpoint = std::get_if<Checkpoint>(&payload); checkpoint && honestly) {
        if (speaks(*checkpoint))
            checkpoint->signature = cluster_.sign(self_, checkpoint_digest(cluster, *checkpoint));
    } else if (auto* vouch = std::get_if<Vouch>(&payload); vouch && honestly) {
        if (speaks(*vouch)) vouch->signature = cluster_.sign(self_, vouch_digest(cluster, *vouch));
    } else if (auto* request = std::get_if<RequestViewChange>(&payload); request && honestly) {
        if (speaks(*request))
            request->signature =
                cluster_.sign(self_, request_view_change_digest(cluster, *request));
    } else if (auto* accept = std::get_if<NewViewAccept>(&payload); accept && honestly) {
        if (speaks(*accept))
            accept->signature = cluster_.sign(self_, accept_digest(cluster, *accept));
    } else if (auto* promise = std::get_if<VoidPromise>(&payload); promise && honestly) {
        if (speaks(*promise))
            promise->signature = cluster_.sign(self_, void_promise_digest(cluster, *promise));
    } else if (auto* resign = std::get_if<Resign>(&payload); resign && honestly) {
        if (Endpoint::primary(resign->primary) == self_)
            resign->signature =
                cluster_.sign(self_, resign_digest(cluster, resign->primary, resign->view));
    } else if (auto* prepare = std::get_if<Prepare>(&payload); prepare && leads(prepare->view)) {
        if (prepare->header && prng_.chance(800)) prepare->hd = header_digest(*prepare->header);
        return certify(*prepare, prepare_digest(cluster, prepare->view, prepare->slot, prepare->hd),
                       std::move(to));
    } else if (auto* begun = std::get_if<NewView>(&payload); begun && leads(begun->view)) {
        return certify(*begun, new_view_digest(cluster, *begun), std::move(to));
    } else if (auto* commit = std::get_if<Commit>(&payload); commit && speaks(*commit)) {
        cluster_.checker.certifying(*commit);
        return certify(*commit, commit_digest(cluster, *commit), std::move(to));
    } else if (auto* change = std::get_if<ViewChangePtr>(&payload);
               change && *change && speaks(**change)) {
        return certify(*change, view_change_digest(cluster, **change), std::move(to));
    }
    send(std::move(payload), std::move(to));
}

// As the wire has it: what cannot be encoded is no message.
void Mutator::send(Payload payload, std::vector<Endpoint> to) {
    auto message = wire::decode(wire::encode({self_, to.front(), std::move(payload)}));
    if (message) cluster_.network.send(self_, {std::move(to), std::move(message->payload)});
}

// --- the liar ---

void MutatingLiar::rewrite(std::vector<Send>& sends) {
    for (Send& send : sends) {
        if (!prng_.chance(150)) continue;
        std::vector<Endpoint> to = send.to;
        if (prng_.chance(300)) send.to.clear();  // in its place
        mutator_.send_like(send.payload, std::move(to));
    }
    std::erase_if(sends, [](const Send& send) { return send.to.empty(); });
}

void MutatingLiar::tick() {
    if (prng_.chance(400)) mutator_.send_old();
}

}  // namespace bft::sim
