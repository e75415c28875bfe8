// f+1 replicas' signed word on one transaction: what anyone can check without a network who has the
// cluster's digest and the hosts' keys (docs/http.md).
#pragma once

#include "base/result.hpp"
#include "consensus/verify.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bft::consensus {

struct Receipt {
    Digest cluster;
    Reply answer;   ///< position and signature mean nothing; the result may be missing
    Digest page;    ///< zero: none was rendered
    Bytes request;  ///< raw; may be empty
    std::optional<std::string> html;

    struct Signed {
        Position position{};
        std::string host;  ///< as the receipt says; the verifier knows better
        std::string alg;   ///< "ed25519" or "p256"
        ReplySignature signature;
    };
    std::vector<Signed> signatures;
};

/// Does the bundle that `signature` covers contain `leaf`, and did the holder of `key` sign it for
/// this replica?
[[nodiscard]] bool reply_signed_by(SignatureChecker& checker, ByteView key, const Digest& cluster,
                                   GroupId group, Position position, const Digest& leaf,
                                   const ReplySignature& signature);

/// The key of a replica's host for `alg`; empty where it has none.
using HostKeys = std::function<Bytes(GroupId group, Position position, const std::string& alg)>;

/// The positions whose signatures are good, or why the receipt proves nothing.
[[nodiscard]] Result<std::vector<Position>> check_receipt(const Receipt& receipt,
                                                          const Membership& membership,
                                                          SignatureChecker& checker,
                                                          const HostKeys& keys);

}  // namespace bft::consensus
