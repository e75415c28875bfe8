#include "consensus/verify.hpp"

#include "base/merkle.hpp"
#include "consensus/client_window.hpp"
#include "consensus/config_change.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

namespace bft::consensus {

namespace {

Error malformed(const char* what) {
    return error(Errc::malformed, what);
}

bool sorted_unique(const std::vector<PartitionId>& parts) {
    return std::adjacent_find(parts.begin(), parts.end(), std::greater_equal<>()) == parts.end();
}

bool for_clients(const Payload& payload) {
    return std::holds_alternative<Body>(payload) || std::holds_alternative<Bodies>(payload) ||
           std::holds_alternative<FetchConfig>(payload);
}

bool is_leaf(const Request& request) {
    const std::vector<Digest>& rds = request.bundle->tree.leaves();
    return rds.size() == request.bundle_count && request.bundle_index < rds.size() &&
           rds[request.bundle_index] == request.rd;
}

bool same_sender(const Endpoint& from, GroupId group, Position position) {
    return from == Endpoint::replica(group, position);
}

}  // namespace

Result<Verified> Verifier::verify(Message message) const {
    if (message.from.role != Endpoint::Role::client && !membership_.host_of(message.from))
        return error(Errc::refused, "the sender is not a member");
    if (message.from.role == Endpoint::Role::client && !for_clients(message.payload))
        return error(Errc::refused, "a client may not send this message");
    auto checked = check(message);
    if (!checked) return checked.error();
    return Verified(std::move(message), *checked);
}

// A request's validity is a pure function of its bytes and the client's key (R4): every correct
// replica judges the same, so a body that one holds is good for all.
Result<void> Verifier::check_request(const Request& request) const {
    if (request.id.home.value == 0) return check_config_request(request);
    if (auto checked = check_content(request); !checked) return checked;
    return check_origin(request);
}

Result<void> Verifier::check_content(const Request& request) const {
    if (request.parts.empty() || request.parts.size() > limits_.parts_per_request)
        return malformed("number of partitions");
    if (!sorted_unique(request.parts)) return malformed("partitions not sorted and unique");
    if (!std::binary_search(request.parts.begin(), request.parts.end(), request.id.home))
        return malformed("home is not among the partitions");
    for (PartitionId p : request.parts)
        if (p.value == 0 || !membership_.owner(p))
            return error(Errc::not_found,
                         "partition " + std::to_string(p.value) + " does not exist");
    if (request.op.size() > limits_.op_bytes) return malformed("operation too large");
    if (request.ack_low > request.id.cseq ||
        request.id.cseq - request.ack_low >= ClientWindow::size)
        return malformed("cseq outside the client's window");
    return {};
}

// Who signed it. Of a bundle that is here as a whole the root is known.
Result<void> Verifier::check_origin(const Request& request) const {
    const Bytes* key = membership_.client_key(request.id.client, request.key);
    if (key == nullptr)
        return error(Errc::refused, "client " + std::to_string(request.id.client.value) +
                                        (request.key == 0 ? " is not in the cluster file"
                                                          : " has no such key here"));
    if (request.bundle_count == 0 || request.bundle_count > limits_.bundle_count)
        return malformed("bundle size");
    if (request_digest(request.raw) != request.rd) return malformed("request digest");
    if (request.bundle && !is_leaf(request)) return malformed("place in the bundle");
    auto root = request.bundle ? std::optional(request.bundle->tree.root())
                               : merkle_fold(request.rd, request.bundle_index, request.bundle_count,
                                             request.bundle_path);
    if (!root) return malformed("bundle path");
    Digest signed_digest = bundle_digest(membership_.cluster, request.id.client, *root);
    const Bytes& signature = request.bundle ? request.bundle->signature : request.signature;
    if (!checker_.signed_by(*key, signed_digest, signature))
        return error(Errc::refused, "the client's signature does not verify");
    return {};
}

// CF1, as far as it depends on nothing else: k of n admin keys signed this change, and the request
// names what it touches. Whether it continues the configuration in force, the order says.
Result<void> Verifier::check_config_request(const Request& request) const {
    if (request.id.client != config_client || request.op.size() > limits_.op_bytes)
        return malformed("partition 0 is for configurations");
    if (request.bundle || request.bundle_count != 1)
        return malformed("a configuration is in no bundle");
    if (request_digest(request.raw) != request.rd) return malformed("request digest");
    auto change = decode_change(request.op);
    if (!change) return change.error();
    if (request.id.cseq.value != change->version.value || request.parts != parts_of(*change))
        return malformed("a configuration change under another name");
    const AdminKeys& admins = membership_.admins_of(change->version);
    if (admins.quorum == 0) return error(Errc::refused, "the cluster has no admin keys");
    // A mover is enough where nothing else changes.
    bool by_mover = in_movers_power(membership_, *change) && change->signatures.size() == 1 &&
                    change->signatures.front().key >= admins.keys.size();
    if (!by_mover && change->signatures.size() < admins.quorum)
        return error(Errc::refused, "signed by " + std::to_string(change->signatures.size()) +
                                        " admin keys, " + std::to_string(admins.quorum) +
                                        " are needed");
    Digest digest = change_digest(membership_.cluster, *change);
    for (const AdminSignature& s : change->signatures) {
        if (!by_mover && s.key >= admins.keys.size())
            return error(
                Errc::refused,
                "signed by a key that may move partitions, add groups on spare counters and remove "
                "empty ones only");
        const Bytes* key = admins.key(s.key);
        if (key == nullptr || !checker_.signed_by(*key, digest, s.signature))
            return error(Errc::refused, "an admin key's signature does not verify");
    }
    return {};
}

Result<UsigId> Verifier::orderer(View view) const {
    if (!membership_.knows(view))
        return error(Errc::refused, "a view of an epoch whose primaries are not known here");
    return membership_.primaries[membership_.primary_of(view).value].usig;
}

// In view (pe, n) the primary is fixed by the view; which counter value a slot must have is judged
// in order by the engine (P7 of section 2.3).
Result<Digest> Verifier::check_prepare(const Prepare& prepare, bool with_header) const {
    if (prepare.slot.value == 0) return malformed("slot 0 is never prepared");
    if (prepare.ui.cv.value == 0) return malformed("counter value 0");
    if (with_header) {
        if (!prepare.header) return malformed("PREPARE without header");
        if (prepare.header->slot != prepare.slot) return malformed("header of another slot");
        if (prepare.header->entries.size() > limits_.slot_entries)
            return malformed("too many entries");
        if (header_digest(*prepare.header) != prepare.hd) return malformed("header digest");
    }
    auto usig = orderer(prepare.view);
    if (!usig) return usig.error();
    Digest digest = prepare_digest(membership_.cluster, prepare.view, prepare.slot, prepare.hd);
    if (!checker_.certified(*usig, prepare.ui, digest))
        return error(Errc::refused, "the PREPARE's certificate does not verify");
    return digest;
}

Result<CertifiedDigests> Verifier::check_commit(const Commit& commit) const {
    auto usig = membership_.usig_of(Endpoint::replica(commit.group, commit.position));
    if (!usig) return error(Errc::refused, "COMMIT of somebody who is not a member");
    if (commit.ui.cv.value == 0) return malformed("counter value 0");
    // View (0,0) begins with the virtual NEW-VIEW: N = 0 and no digest.
    if (commit.view.value == 0 && !commit.nvd.is_zero()) return malformed("nvd of view (0,0)");
    if (commit.prepare.view != commit.view || commit.prepare.slot != commit.to ||
        commit.prepare.hd != commit.hd)
        return malformed("the COMMIT's prepare certificate is of another slot");
    CertifiedDigests digests;
    if (commit.from_new_view) {
        if (commit.view.value == 0) return malformed("view (0,0) has no NEW-VIEW");
        auto orders = orderer(commit.view);
        if (!orders) return orders.error();
        if (!checker_.certified(*orders, commit.prepare.ui, commit.nvd))
            return error(Errc::refused, "the certificate of the COMMIT's NEW-VIEW does not verify");
        digests.prepare = commit.nvd;
    } else {
        auto checked = check_prepare(commit.prepare, false);
        if (!checked) return checked.error();
        digests.prepare = *checked;
    }
    digests.message = commit_digest(membership_.cluster, commit);
    if (!checker_.certified(*usig, commit.ui, digests.message))
        return error(Errc::refused, "the COMMIT's certificate does not verify");
    return digests;
}

struct Verifier::Visitor {
    using Role = Endpoint::Role;
    const Verifier& v;
    const Endpoint& from;
    const Endpoint& to;
    CertifiedDigests& digests;

    static Result<void> role(bool allowed) {
        if (!allowed) return error(Errc::refused, "this sender may not send this message");
        return {};
    }
    Result<void> operator()(const Body& body) const {
        if (!body) return malformed("empty request");
        // Whoever brings a configuration change: its admins signed it.
        if (from.role == Role::client && from.client != body->id.client && body->id.home.value != 0)
            return error(Errc::refused, "a client sends its own requests only");
        if (from.role == Role::voter) return role(false);
        return v.check_request(*body);
    }
    // Certified messages may be relayed by anyone who is a member.
    Result<void> operator()(const Prepare& prepare) const {
        if (from.role == Role::client) return role(false);
        auto checked = v.check_prepare(prepare, true);
        if (!checked) return checked.error();
        digests.message = *checked;
        return {};
    }
    Result<void> operator()(const Commit& commit) const {
        if (from.role == Role::client) return role(false);
        auto checked = v.check_commit(commit);
        if (!checked) return checked.error();
        digests = *checked;
        return {};
    }
    Result<void> operator()(const Status& status) const {
        if (from.role != Role::replica) return role(false);
        if (status.votes_seen.size() < v.membership_.replicas_per_group() ||
            status.votes_seen.size() > 64)
            return malformed("votes_seen");
        if (status.ordering_seen.size() > 64) return malformed("ordering_seen");
        return {};
    }
    Result<void> operator()(const FetchCertificates& fetch) const {
        if (from.role == Role::client) return role(false);
        if (fetch.from.value == 0 || fetch.to < fetch.from) return malformed("fetch range");
        return {};
    }
    Result<void> operator()(const Certificates& found) const {
        if (from.role == Role::client) return role(false);
        if (found.prepares.size() + found.commits.size() + found.new_views.size() +
                found.view_changes.size() + found.voids.size() >
            v.limits_.fetch_count)
            return malformed("too many certificates");
        for (const NewView& each : found.new_views)
            if (auto checked = v.check_new_view(each); !checked) return checked;
        for (const ViewChangePtr& each : found.view_changes) {
            if (!each) return malformed("empty VIEW-CHANGE");
            if (auto checked = v.check_view_change(*each); !checked) return checked;
        }
        for (const Prepare& prepare : found.prepares)
            if (auto checked = v.check_prepare(prepare, true); !checked) return checked.error();
        for (const VoidCert& cert : found.voids)
            if (auto checked = v.check_void_cert(cert); !checked) return checked;
        for (const Commit& commit : found.commits)
            if (auto checked = v.check_commit(commit); !checked) return checked.error();
        return {};
    }
    Result<void> operator()(const VoidRequest& request) const {
        if (from != owner_of(request.stream)) return role(false);
        return request.cv.value == 0 ? malformed("counter value 0") : Result<void>();
    }
    Result<void> operator()(const VoidPromise& promise) const {
        if (!same_sender(from, promise.group, promise.position)) return role(false);
        return v.check_void_promise(promise);
    }
    Result<void> operator()(const VoidCert& cert) const {
        if (from.role == Role::client) return role(false);
        return v.check_void_cert(cert);
    }
    Result<void> operator()(const Gone& gone) const {
        if (from.role == Role::client) return role(false);
        return gone.line.value == 0 ? malformed("counter value 0") : Result<void>();
    }
    // A state is its group's own business: what its clients did is in it.
    Result<void> operator()(const FetchState& fetch) const {
        if (from.role != Role::replica) return role(false);
        return fetch.part < v.limits_.state_parts ? Result<void>() : malformed("number of parts");
    }
    Result<void> operator()(const StatePartPtr& part) const {
        if (!part) return malformed("empty state");
        if (from.role != Role::replica || from.group != part->cert.group) return role(false);
        return v.check_state(*part);
    }
    Result<void> operator()(const FetchBodies& fetch) const {
        if (from.role == Role::client) return role(false);
        if (fetch.rds.empty() || fetch.rds.size() > v.limits_.fetch_count)
            return malformed("number of bodies");
        if (!fetch.slots.empty() && fetch.slots.size() != fetch.rds.size())
            return malformed("slots of bodies");
        return {};
    }
    // From a client: requests that it had waiting.
    Result<void> operator()(const Bodies& found) const {
        if (found.bodies.size() > v.limits_.fetch_count) return malformed("too many bodies");
        if (from.role == Role::client)
            for (const Body& body : found.bodies)
                if (!body || (body->id.client != from.client && body->id.home.value != 0))
                    return error(Errc::refused, "a client sends its own requests only");
        return to.role == Role::voter ? decided_bodies(found.bodies) : all_bodies(found.bodies);
    }
    Result<void> operator()(const CommitDb& commit) const {
        if (!same_sender(from, commit.group, commit.position)) return role(false);
        // One more than entries: the implicit one of a checkpoint slot.
        if (commit.items.size() > v.limits_.slot_entries + 1) return malformed("too many items");
        if (commit.bodies.size() > commit.items.size()) return malformed("too many bodies");
        for (const DbItem& item : commit.items)
            if (item.seqs.empty() || item.seqs.size() > parts_max(item))
                return malformed("number of sequence numbers");
        return decided_bodies(commit.bodies);
    }
    Result<void> operator()(const DbReply& reply) const {
        if (from != Endpoint::voter(reply.voter)) return role(false);
        if (reply.items.size() > v.limits_.slot_entries + 1) return malformed("too many items");
        for (const ItemResult& item : reply.items)
            if (auto checked = result(item); !checked) return checked;
        return {};
    }
    Result<void> operator()(const VoterStatus& status) const {
        if (from != Endpoint::voter(status.voter)) return role(false);
        if (status.next.size() > v.membership_.owners.size()) return malformed("partitions");
        return {};
    }
    Result<void> operator()(const FetchDbItems& fetch) const {
        if (from != Endpoint::voter(fetch.voter)) return role(false);
        if (fetch.to < fetch.from) return malformed("fetch range");
        return {};
    }
    Result<void> operator()(const Reply& reply) const {
        if (!same_sender(from, reply.group, reply.position)) return role(false);
        return result(reply.answer);
    }
    Result<void> operator()(const Replies&) const {
        return role(false);  // for clients, which do not ask here
    }
    Result<void> operator()(const Rejected& rejected) const {
        if (from.role == Role::client || from.role == Role::voter) return role(false);
        if (rejected.text.size() > 1024) return malformed("reason too long");
        return {};
    }

    // Checkpoints and view change: verify_views.cpp.
    Result<void> operator()(const Checkpoint& m) const { return v.check_checkpoint(m); }
    Result<void> operator()(const Vouch& m) const { return v.check_vouch(m); }
    Result<void> operator()(const RequestViewChange& m) const { return v.check_request_vc(m); }
    Result<void> operator()(const TriggerCertificate& m) const { return v.check_trigger(m); }
    Result<void> operator()(const NewView& m) const { return v.check_new_view(m); }
    Result<void> operator()(const NewViewAccept& m) const { return v.check_accept(m); }
    Result<void> operator()(const ViewChangePtr& m) const {
        return m ? v.check_view_change(*m) : malformed("empty VIEW-CHANGE");
    }
    Result<void> operator()(const ViewCertPtr& m) const {
        return m ? v.check_view_cert(*m) : malformed("empty ViewCert");
    }
    Result<void> operator()(const Resign& m) const {
        return v.check_signature(Endpoint::primary(m.primary),
                                 resign_digest(v.membership_.cluster, m.primary, m.view),
                                 m.signature);
    }
    Result<void> operator()(const EquivocationProof& m) const { return v.check_equivocation(m); }
    // Clients follow the configuration, too (C5).
    Result<void> operator()(const FetchConfig&) const { return {}; }
    Result<void> operator()(const BarrierCertPtr& m) const {
        if (from.role == Role::client) return role(false);
        return m ? v.check_barrier(*m) : malformed("empty BarrierCert");
    }
    Result<void> operator()(const FetchHeaders& fetch) const {
        if (fetch.from.value == 0 || fetch.to < fetch.from) return malformed("fetch range");
        return {};
    }
    // Which header was asked for, only the engine knows: it checks digests.
    Result<void> operator()(const Headers& found) const {
        if (found.headers.size() > v.limits_.fetch_count) return malformed("too many headers");
        for (const HeaderPtr& header : found.headers)
            if (!header || header->entries.size() > v.limits_.slot_entries)
                return malformed("header");
        return {};
    }
    Result<void> operator()(const FetchViewCert&) const { return {}; }
    Result<void> operator()(const FetchViewChanges& fetch) const {
        if (fetch.wanted.empty() || fetch.wanted.size() > v.limits_.fetch_count)
            return malformed("number of VIEW-CHANGEs");
        return {};
    }
    Result<void> operator()(const ViewChanges& found) const {
        if (found.messages.size() > v.limits_.fetch_count)
            return malformed("number of VIEW-CHANGEs");
        for (const ViewChangePtr& each : found.messages)
            if (auto checked = (*this)(each); !checked) return checked;
        return {};
    }

    Result<void> operator()(const DbCheckpoint& m) const {
        if (m.slot.value == 0) return malformed("slot 0 is no checkpoint");
        return v.check_signature(Endpoint::voter(m.voter),
                                 db_checkpoint_digest(v.membership_.cluster, m), m.signature);
    }
    Result<void> operator()(const DbCut& m) const { return of_voter(m.voter); }
    Result<void> operator()(const FetchDbLeaves& m) const { return of_voter(m.voter); }
    Result<void> operator()(const FetchDbChunk& m) const { return of_voter(m.voter); }
    Result<void> operator()(const DbGone& m) const { return of_voter(m.voter); }
    // Whether they are the ones that f_D+1 signed, only the engine knows: it checks digests.
    Result<void> operator()(const DbLeaves& m) const {
        if (!m.leaves || m.leaves->size() > v.limits_.database_leaves)
            return malformed("number of leaves");
        std::size_t chunks = 0;
        for (const DbLeaf& leaf : *m.leaves) {
            if (leaf.chunks.empty() || leaf.table.empty() || leaf.table.size() > 64)
                return malformed("leaf");
            chunks += leaf.chunks.size();
        }
        if (chunks > v.limits_.database_chunks) return malformed("number of chunks");
        return of_voter(m.voter);
    }
    Result<void> operator()(const DbChunk& m) const {
        if (m.rows.size() > v.limits_.chunk_bytes) return malformed("chunk too large");
        return of_voter(m.voter);
    }
    [[nodiscard]] Result<void> of_voter(VoterId voter) const {
        return role(from == Endpoint::voter(voter));
    }
    [[nodiscard]] std::size_t parts_max(const DbItem& item) const {
        return item.kind == ItemKind::checkpoint || item.rid.home.value == 0
                   ? v.membership_.owners.size()
                   : v.limits_.parts_per_request;
    }

    // For voters: they run what f+1 members of a group have decided, and these name it by its
    // digest. Whether its client might say it was for the members to judge, by keys that a voter
    // may not know yet.
    [[nodiscard]] Result<void> decided_bodies(const std::vector<Body>& bodies) const {
        for (const Body& body : bodies) {
            if (!body) return malformed("empty request");
            if (body->op.size() > v.limits_.op_bytes) return malformed("operation too large");
            if (request_digest(body->raw) != body->rd) return malformed("request digest");
            if (body->id.home.value == 0) continue;
            if (auto checked = v.check_content(*body); !checked) return checked;
        }
        return {};
    }
    // One signature for all that share a bundle.
    Result<void> all_bodies(const std::vector<Body>& bodies) const {
        const Request* good = nullptr;
        for (const Body& body : bodies) {
            if (!body) return malformed("empty request");
            if (body->id.home.value == 0) {  // signed by others, and each by itself
                if (auto checked = v.check_config_request(*body); !checked) return checked;
                continue;
            }
            if (auto checked = v.check_content(*body); !checked) return checked;
            bool proven = good != nullptr && body->bundle && body->bundle == good->bundle &&
                          body->id.client == good->id.client && body->key == good->key &&
                          is_leaf(*body) && request_digest(body->raw) == body->rd;
            if (proven) continue;
            if (auto checked = v.check_origin(*body); !checked) return checked;
            good = body.get();
        }
        return {};
    }
    // A payload that came along must be the preimage of its digest.
    Result<void> result(const ItemResult& item) const {
        if (item.result.size() > v.limits_.result_bytes) return malformed("result too large");
        if (item.has_result && result_digest(item.outcome, item.code, item.result) != item.rdig)
            return malformed("result digest");
        return {};
    }
};

Result<CertifiedDigests> Verifier::check(const Message& message) const {
    CertifiedDigests digests;
    Visitor visitor{*this, message.from, message.to, digests};
    if (auto checked = std::visit(visitor, message.payload); !checked) return checked.error();
    return digests;
}

}  // namespace bft::consensus
