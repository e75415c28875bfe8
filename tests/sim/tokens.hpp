// Signatures and certificates of a simulated cluster: a table of what was really signed. Nobody can
// forge, because only the owners' ports write to it.
#pragma once

#include "consensus/verify.hpp"

#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace bft::sim {

class TokenTable final : public consensus::SignatureChecker {
public:
    /// What a trusted counter certifies; called by SimTpm only.
    consensus::Ui certify(UsigId identity, Counter cv, std::uint32_t voids, const Digest& digest) {
        consensus::Ui ui{cv, voids, Bytes(8)};
        std::uint64_t token = ++tokens_ * 0x9e3779b97f4a7c15u;
        for (std::size_t i = 0; i < 8; ++i)
            ui.certificate[i] = static_cast<std::uint8_t>(token >> (8 * i));
        certified_.emplace(Certificate{identity, cv, digest}, ui);
        return ui;
    }
    /// What the holder of `public_key` signs.
    Bytes sign(const Bytes& public_key, const Digest& digest) {
        signed_.insert({public_key, digest});
        return {1};
    }

    bool certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) override {
        auto found = certified_.find({identity, ui.cv, digest});
        return found != certified_.end() && found->second == ui;
    }
    bool signed_by(ByteView public_key, const Digest& digest, ByteView) override {
        return signed_.contains({to_bytes(public_key), digest});
    }

private:
    struct Certificate {
        UsigId identity;
        Counter cv;
        Digest digest;
        bool operator==(const Certificate&) const = default;
    };
    struct Signature {
        Bytes key;
        Digest digest;
        bool operator==(const Signature&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Certificate& c) const {
            return DigestHash{}(c.digest) ^ (c.cv.value * 31 + c.identity.value);
        }
        std::size_t operator()(const Signature& s) const { return DigestHash{}(s.digest); }
    };
    std::uint64_t tokens_ = 0;
    std::unordered_map<Certificate, consensus::Ui, Hash> certified_;
    std::unordered_set<Signature, Hash> signed_;
};

}  // namespace bft::sim
