// A small cluster's membership, with signatures that anybody may make and everybody can check: the
// unit tests are about rules, not about cryptography.
#pragma once

#include "base/merkle.hpp"
#include "base/sha256.hpp"
#include "consensus/config_change.hpp"
#include "consensus/engine.hpp"
#include "consensus/signed_bytes.hpp"
#include "consensus/verify.hpp"

#include <memory>

namespace bft::consensus::test {

/// f = 1, one primary, `groups` groups, partition p owned by group (p - 1) mod groups, client 1.
inline Membership small_cluster(std::uint32_t groups = 1, std::uint32_t partitions = 4,
                                std::uint32_t primaries = 1) {
    Membership m;
    m.cluster = Digester("test-cluster").finish();
    // Primary 0 has a host of its own, the others are beside replicas (D7).
    m.primaries = {{HostId(0), UsigId(0)}};
    for (std::uint32_t p = 1; p < primaries; ++p)
        m.primaries.push_back({HostId(p), UsigId(1000 + p)});
    for (std::uint32_t h = 0; h < 4; ++h)
        m.host_keys[HostId(h)] = to_bytes(as_bytes("host-" + std::to_string(h)));
    for (std::uint32_t g = 0; g < groups; ++g) {
        Group group{GroupId(g), {}};
        for (std::uint32_t j = 0; j < 3; ++j)
            group.members.push_back({HostId(1 + j), UsigId(1 + g * 3 + j)});
        m.groups.push_back(group);
    }
    m.owners[PartitionId(0)] = GroupId(0);
    for (std::uint32_t p = 1; p <= partitions; ++p)
        m.owners[PartitionId(p)] = GroupId((p - 1) % groups);
    m.voters = {HostId(1), HostId(2), HostId(3)};
    m.admins.quorum = 2;
    for (const char* key : {"admin-0", "admin-1", "admin-2"})
        m.admins.keys.push_back(to_bytes(as_bytes(key)));
    m.clients[ClientId(1)] = to_bytes(as_bytes("client-1"));
    return m;
}

/// A certificate is a hash of identity, counter and digest.
class HashChecker final : public SignatureChecker {
public:
    static Ui certify(UsigId id, Counter cv, const Digest& digest, std::uint32_t voids = 0) {
        return {cv, voids, make(id, cv, voids, digest)};
    }
    static Bytes sign(ByteView key, const Digest& digest) {
        return to_bytes(Digester("sig").bytes(key).digest(digest).finish().view());
    }
    bool certified(UsigId id, const Ui& ui, const Digest& digest) override {
        return ui.certificate == make(id, ui.cv, ui.voids, digest);
    }
    bool signed_by(ByteView key, const Digest& digest, ByteView signature) override {
        return to_bytes(signature) == sign(key, digest);
    }

private:
    static Bytes make(UsigId id, Counter cv, std::uint32_t voids, const Digest& digest) {
        return to_bytes(
            Digester("ui").u32(id.value).u64(cv.value).u32(voids).digest(digest).finish().view());
    }
};

/// Signs as a host does.
class HashSigner final : public Signer {
public:
    HashSigner(const Membership& m, const Endpoint& who) : key_(*m.identity_key(who)) {}
    Bytes sign(const Digest& digest) override { return HashChecker::sign(key_, digest); }

private:
    Bytes key_;
};

inline Body make_request(const Membership& m, std::uint64_t cseq,
                         std::vector<PartitionId> parts = {PartitionId(1)},
                         std::string_view op = "op", ClientSeq ack_low = ClientSeq(1)) {
    Request r;
    r.id = {ClientId(1), parts.front(), ClientSeq(cseq)};
    r.ack_low = ack_low;
    r.parts = std::move(parts);
    r.op = to_bytes(as_bytes(op));
    Digester raw("raw");
    raw.u64(cseq).u64(ack_low.value).text(op);
    for (PartitionId p : r.parts) raw.u32(p.value);
    r.raw = to_bytes(raw.finish().view());
    r.rd = request_digest(r.raw);
    Digest root = *merkle_fold(r.rd, 0, 1, {});
    r.signature =
        HashChecker::sign(m.clients.at(r.id.client), bundle_digest(m.cluster, r.id.client, root));
    return std::make_shared<const Request>(std::move(r));
}

/// CONFIG, signed by the first `signers` admin keys.
inline Body make_config(const Membership& m, ConfigChange change, std::uint32_t signers = 2) {
    Digest digest = change_digest(m.cluster, change);
    for (std::uint32_t key = 0; key < signers; ++key)
        change.signatures.push_back({key, HashChecker::sign(m.admins.keys[key], digest)});
    auto request = std::make_shared<Request>(config_request(change));
    request->raw = request->op;
    request->rd = request_digest(request->raw);
    return request;
}

/// The same requests under one signature, as they come from a client that had them waiting.
inline std::vector<Body> make_bundle(const Membership& m, const std::vector<Body>& alone) {
    std::vector<Digest> rds;
    for (const Body& body : alone) rds.push_back(body->rd);
    SignedBundle bundle{MerkleTree(rds), {}};
    ClientId client = alone.front()->id.client;
    bundle.signature = HashChecker::sign(m.clients.at(client),
                                         bundle_digest(m.cluster, client, bundle.tree.root()));
    auto shared = std::make_shared<const SignedBundle>(std::move(bundle));
    std::vector<Body> together;
    for (std::size_t i = 0; i < alone.size(); ++i) {
        Request request = *alone[i];
        request.signature.clear();
        request.bundle = shared;
        request.bundle_index = static_cast<std::uint32_t>(i);
        request.bundle_count = static_cast<std::uint32_t>(alone.size());
        together.push_back(std::make_shared<const Request>(std::move(request)));
    }
    return together;
}

inline EntryHeader entry_of(const Body& body) {
    return {body->id, body->parts, EntryKind::transaction, body->rd};
}

/// The PREPARE of the slot after (previous, previous_digest).
inline Prepare make_prepare(const Membership& m, Slot slot, const Digest& previous,
                            std::vector<EntryHeader> entries, UnixMillis ts_ms,
                            std::optional<Counter> cv = {}) {
    Header header{slot, previous, ts_ms, std::move(entries)};
    Prepare p;
    p.slot = slot;
    p.hd = header_digest(header);
    p.header = std::make_shared<const Header>(std::move(header));
    p.ui = HashChecker::certify(m.primaries[0].usig, cv.value_or(Counter(slot.value)),
                                prepare_digest(m.cluster, p.view, slot, p.hd));
    return p;
}

inline Commit make_commit(const Membership& m, GroupId group, Position position,
                          const Prepare& prepare, Counter cv) {
    Commit c;
    c.group = group;
    c.position = position;
    c.view = prepare.view;
    c.to = prepare.slot;
    c.hd = prepare.hd;
    c.prepare = prepare;
    c.prepare.header = nullptr;
    c.ui = HashChecker::certify(*m.usig_of(Endpoint::replica(group, position)), cv,
                                commit_digest(m.cluster, c));
    return c;
}

}  // namespace bft::consensus::test
