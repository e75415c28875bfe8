// Signs a replica's answers and refusals for those who want receipts (docs/http.md): what comes
// within one turn of the loop shares a signature.
#pragma once

#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace bft::host {

class ReplySigner {
public:
    using Sign = std::function<Bytes(const Digest&)>;
    using Done = std::function<void(const consensus::ReplySignature&)>;

    /// `sign` makes the host's signature of a digest.
    ReplySigner(boost::asio::io_context& loop, const Digest& cluster, Sign sign);
    ~ReplySigner();
    ReplySigner(const ReplySigner&) = delete;
    ReplySigner& operator=(const ReplySigner&) = delete;

    /// `done` is called later in the same thread. `leaf`: an answer_digest() or refusal_digest().
    void sign(GroupId group, Position position, const Digest& leaf, Done done);
    /// At once, over all `leaves` as one bundle; index and path are those of the first.
    [[nodiscard]] consensus::ReplySignature sign_now(GroupId group, Position position,
                                                     const std::vector<Digest>& leaves);

    /// Signatures made so far.
    [[nodiscard]] std::uint64_t made() const { return made_; }

private:
    struct Waiting {
        std::vector<Digest> leaves;
        std::vector<Done> done;
    };
    void flush();

    boost::asio::io_context& loop_;
    Digest cluster_;
    Sign sign_;
    std::map<std::pair<GroupId, Position>, Waiting> waiting_;
    bool posted_ = false;
    std::uint64_t made_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bft::host
