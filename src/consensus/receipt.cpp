#include "consensus/receipt.hpp"

#include "base/merkle.hpp"
#include "consensus/signed_bytes.hpp"

#include <set>

namespace bft::consensus {

bool reply_signed_by(SignatureChecker& checker, ByteView key, const Digest& cluster, GroupId group,
                     Position position, const Digest& leaf, const ReplySignature& signature) {
    auto root =
        merkle_fold(leaf, signature.bundle_index, signature.bundle_count, signature.bundle_path);
    return root && checker.signed_by(key, replies_digest(cluster, group, position, *root),
                                     signature.signature);
}

Result<std::vector<Position>> check_receipt(const Receipt& receipt, const Membership& membership,
                                            SignatureChecker& checker, const HostKeys& keys) {
    const Reply& reply = receipt.answer;
    const ItemResult& answer = reply.answer;
    if (receipt.cluster != membership.cluster)
        return error(Errc::refused, "it is of another cluster, or of another configuration of it");
    // Partitions move; one of f+1 signers is correct, and its group owned the partition then.
    if (!membership.owner(answer.rid.home))
        return error(Errc::refused, "the cluster has no such partition");
    if (membership.group(reply.group) == nullptr)
        return error(Errc::refused, "the cluster has no such group");
    if (answer.has_result &&
        result_digest(answer.outcome, answer.code, answer.result) != answer.rdig)
        return error(Errc::refused, "the result is not the one that was signed");
    if (!receipt.request.empty() && request_digest(receipt.request) != reply.rd)
        return error(Errc::refused, "the request is not the one that was answered");
    if (receipt.html && page_digest(as_bytes(*receipt.html)) != receipt.page)
        return error(Errc::refused, "the page is not the one that was signed");
    // One replica counts once: a second signature of the same position proves nothing more.
    std::set<Position> good;
    Digest leaf = answer_digest(reply, receipt.page);
    for (const Receipt::Signed& one : receipt.signatures) {
        if (one.position.value >= membership.replicas_per_group()) continue;
        Bytes key = keys(reply.group, one.position, one.alg);
        if (!key.empty() && reply_signed_by(checker, key, receipt.cluster, reply.group,
                                            one.position, leaf, one.signature))
            good.insert(one.position);
    }
    if (good.size() < membership.quorum())
        return error(Errc::refused, std::to_string(good.size()) + " good signature(s); f+1 = " +
                                        std::to_string(membership.quorum()) +
                                        " replicas of the group must have signed");
    return std::vector<Position>(good.begin(), good.end());
}

}  // namespace bft::consensus
