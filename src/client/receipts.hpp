// Signed replies: are they, and what they prove together (docs/http.md).
#pragma once

#include "client/core.hpp"
#include "client/hosts.hpp"

#include <map>
#include <string>

namespace bft::client {

class Receipts {
public:
    /// `hosts` must outlive this.
    explicit Receipts(const Hosts& hosts) : hosts_(hosts), membership_(hosts.membership()) {}

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

    const Hosts& hosts_;
    const consensus::Membership& membership_;
    /// The last good one of each replica.
    std::map<std::pair<GroupId, Position>, Bundle> good_;
};

}  // namespace bft::client
