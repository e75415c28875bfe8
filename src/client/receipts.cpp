#include "client/receipts.hpp"

#include "base/merkle.hpp"
#include "consensus/receipt.hpp"
#include "consensus/signed_bytes.hpp"
#include "crypto/signing_key.hpp"
#include "wire/json.hpp"

#include <boost/json/serialize.hpp>

namespace bft::client {

using consensus::Endpoint;

bool Receipts::well_signed(const consensus::Reply& reply) {
    auto host = membership_.host_of(Endpoint::replica(reply.group, reply.position));
    if (!host || !reply.signature) return false;
    const consensus::ReplySignature& signature = *reply.signature;
    auto root = merkle_fold(consensus::answer_digest(reply), signature.bundle_index,
                            signature.bundle_count, signature.bundle_path);
    if (!root) return false;
    // The replies of a bundle share a signature: one check serves all that come in a row.
    Bundle bundle{*root, signature.signature};
    Bundle& last = good_[{reply.group, reply.position}];
    if (last == bundle) return true;
    Digest digest =
        consensus::replies_digest(membership_.cluster, reply.group, reply.position, *root);
    const Bytes* key = hosts_.key_of(*host);
    if (key == nullptr || !crypto::verify(*key, digest, signature.signature)) return false;
    last = std::move(bundle);
    return true;
}

std::string Receipts::make(const Finished& done) const {
    consensus::Receipt receipt;
    receipt.cluster = membership_.cluster;
    receipt.request = done.request;
    receipt.answer.group = done.group;
    receipt.answer.slot = done.slot;
    receipt.answer.answer = done.answer;
    receipt.answer.answer.has_result = true;
    receipt.answer.rd = done.rd;
    receipt.answer.ts_ms = done.ts_ms;
    for (const auto& [position, signature] : done.signatures) {
        auto host = membership_.host_of(Endpoint::replica(done.group, position));
        receipt.signatures.push_back({position, hosts_.name_of(*host), "ed25519", signature});
    }
    return boost::json::serialize(wire::receipt_to_json(receipt));
}

}  // namespace bft::client
