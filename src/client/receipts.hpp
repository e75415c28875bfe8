// Signed replies: are they, and what they prove together (docs/http.md).
#pragma once

#include "client/config.hpp"
#include "client/core.hpp"

#include <map>
#include <string>

namespace bft::client {

class Receipts {
public:
    /// The references must outlive this.
    Receipts(const Config& config, const consensus::Membership& membership)
        : config_(config), membership_(membership) {}

    /// By the host of its replica.
    bool well_signed(const consensus::Reply& reply);
    /// JSON, of a call that ended with signatures.
    [[nodiscard]] std::string make(const Finished& done) const;

private:
    struct Bundle {
        Digest root;
        Bytes signature;
        bool operator==(const Bundle&) const = default;
    };

    const Config& config_;
    const consensus::Membership& membership_;
    /// The last good one of each replica.
    std::map<std::pair<GroupId, Position>, Bundle> good_;
};

}  // namespace bft::client
