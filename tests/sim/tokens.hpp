// Signatures and certificates of a simulated cluster: a keyed sum over what was signed. Whoever
// does not go through the owner's port cannot make one, and nothing has to be remembered.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/verify.hpp"
#include "operation.hpp"

#include <cstring>

namespace bft::sim {

class TokenTable final : public consensus::SignatureChecker {
public:
    explicit TokenTable(std::uint64_t secret) : secret_(secret) {}

    /// What a trusted counter certifies; called by SimTpm only.
    [[nodiscard]] consensus::Ui certify(UsigId identity, Counter cv, std::uint32_t voids,
                                        const Digest& digest) const {
        return {cv, voids, encode(token(identity, cv, voids, digest))};
    }
    /// What the holder of `public_key` signs.
    [[nodiscard]] Bytes sign(ByteView public_key, const Digest& digest) const {
        std::uint64_t sum = mix(secret_, fold(digest));
        for (std::uint8_t byte : public_key) sum = mix(sum, byte);
        return encode(sum);
    }

    bool certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) override {
        return ui.certificate == encode(token(identity, ui.cv, ui.voids, digest));
    }
    bool signed_by(ByteView public_key, const Digest& digest, ByteView signature) override {
        return to_bytes(signature) == sign(public_key, digest);
    }

private:
    [[nodiscard]] std::uint64_t token(UsigId identity, Counter cv, std::uint32_t voids,
                                      const Digest& digest) const {
        std::uint64_t who = mix(identity.value, voids);
        return mix(mix(secret_, who), mix(cv.value, fold(digest)));
    }
    /// Every byte counts: liars change single ones.
    static std::uint64_t fold(const Digest& digest) {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < digest.bytes.size(); i += sizeof sum) {
            std::uint64_t word = 0;
            std::memcpy(&word, digest.bytes.data() + i, sizeof word);
            sum = mix(sum, word);
        }
        return sum;
    }

    std::uint64_t secret_;
};

/// A host's identity key.
class TokenSigner final : public consensus::Signer {
public:
    TokenSigner(const TokenTable& tokens, Bytes key) : tokens_(tokens), key_(std::move(key)) {}
    Bytes sign(const Digest& digest) override { return tokens_.sign(key_, digest); }

private:
    const TokenTable& tokens_;
    Bytes key_;
};

}  // namespace bft::sim
