#include "host/reply_signer.hpp"

#include "base/merkle.hpp"
#include "consensus/signed_bytes.hpp"
#include "wire/limits.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace bft::host {

namespace {
constexpr std::size_t bundle_max = wire::message_limits.bundle_count;
}

ReplySigner::ReplySigner(boost::asio::io_context& loop, const Digest& cluster, Sign sign)
    : loop_(loop), cluster_(cluster), sign_(std::move(sign)) {}

ReplySigner::~ReplySigner() {
    *alive_ = false;
}

void ReplySigner::sign(GroupId group, Position position, const Digest& leaf, Done done) {
    Waiting& waiting = waiting_[{group, position}];
    waiting.leaves.push_back(leaf);
    waiting.done.push_back(std::move(done));
    if (std::exchange(posted_, true)) return;
    boost::asio::post(loop_, [this, alive = alive_] {
        if (*alive) flush();
    });
}

consensus::ReplySignature ReplySigner::sign_now(GroupId group, Position position,
                                                const std::vector<Digest>& leaves) {
    consensus::ReplySignature signature;
    signature.bundle_count = static_cast<std::uint32_t>(leaves.size());
    signature.bundle_path = merkle_path(leaves, 0);
    signature.signature =
        sign_(consensus::replies_digest(cluster_, group, position, merkle_root(leaves)));
    ++made_;
    return signature;
}

void ReplySigner::flush() {
    posted_ = false;
    for (auto& [who, waiting] : std::exchange(waiting_, {})) {
        for (std::size_t from = 0; from < waiting.leaves.size(); from += bundle_max) {
            std::size_t to = std::min(from + bundle_max, waiting.leaves.size());
            std::vector<Digest> leaves(waiting.leaves.begin() + static_cast<std::ptrdiff_t>(from),
                                       waiting.leaves.begin() + static_cast<std::ptrdiff_t>(to));
            consensus::ReplySignature signature = sign_now(who.first, who.second, leaves);
            for (std::size_t i = 0; i < leaves.size(); ++i) {
                signature.bundle_index = static_cast<std::uint32_t>(i);
                signature.bundle_path = merkle_path(leaves, i);
                waiting.done[from + i](signature);
            }
        }
    }
}

}  // namespace bft::host
