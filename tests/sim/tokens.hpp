// Signatures and certificates of a simulated cluster: a keyed sum over what was signed. Whoever
// does not go through the owner's port cannot make one, and nothing has to be remembered.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/verify.hpp"
#include "operation.hpp"

#include <cstring>

namespace bft::sim {

/// Makes what a SignatureChecker checks.
class Seals : public consensus::SignatureChecker {
public:
    /// What a trusted counter certifies; called by SimTpm only. Values increase.
    [[nodiscard]] virtual consensus::Ui certify(UsigId identity, Counter cv, std::uint32_t voids,
                                                const Digest& digest) = 0;
    /// What the holder of `public_key` signs.
    [[nodiscard]] virtual Bytes sign(ByteView public_key, const Digest& digest) = 0;
    [[nodiscard]] virtual Bytes host_key(HostId host) const = 0;
    [[nodiscard]] virtual Bytes client_key(ClientId client) const = 0;
    [[nodiscard]] virtual Bytes admin_key(std::uint32_t key) const = 0;
};

class TokenTable final : public Seals {
public:
    explicit TokenTable(std::uint64_t secret) : secret_(secret) {}

    [[nodiscard]] consensus::Ui certify(UsigId identity, Counter cv, std::uint32_t voids,
                                        const Digest& digest) override {
        return {cv, voids, encode(token(identity, cv, voids, digest))};
    }
    [[nodiscard]] Bytes sign(ByteView public_key, const Digest& digest) override {
        return encode(signature(public_key, digest));
    }
    [[nodiscard]] Bytes host_key(HostId host) const override {
        Bytes key(32, 2);  // as long as a real one
        for (std::size_t i = 0; i < 4; ++i)
            key[28 + i] = static_cast<std::uint8_t>(host.value >> (8 * i));
        return key;
    }
    [[nodiscard]] Bytes client_key(ClientId client) const override {
        return {1, static_cast<std::uint8_t>(client.value)};
    }
    [[nodiscard]] Bytes admin_key(std::uint32_t key) const override {
        return {3, static_cast<std::uint8_t>(key)};
    }

    bool certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) override {
        return is(ui.certificate, token(identity, ui.cv, ui.voids, digest));
    }
    bool signed_by(ByteView public_key, const Digest& digest, ByteView bytes) override {
        return is(bytes, signature(public_key, digest));
    }

private:
    [[nodiscard]] std::uint64_t signature(ByteView public_key, const Digest& digest) const {
        std::uint64_t sum = mix(secret_, fold(digest));
        for (std::uint8_t byte : public_key) sum = mix(sum, byte);
        return sum;
    }
    /// encode(value) == bytes
    static bool is(ByteView bytes, std::uint64_t value) {
        if (bytes.size() != sizeof value) return false;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            if (bytes[i] != static_cast<std::uint8_t>(value >> (8 * i))) return false;
        return true;
    }
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
    TokenSigner(Seals& tokens, Bytes key) : tokens_(tokens), key_(std::move(key)) {}
    Bytes sign(const Digest& digest) override { return tokens_.sign(key_, digest); }

private:
    Seals& tokens_;
    Bytes key_;
};

}  // namespace bft::sim
