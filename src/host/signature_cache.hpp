// Checks signatures and certificates for all engines of a process, each of them once.
#pragma once

#include "consensus/verify.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <unordered_set>

namespace bft::host {

/// Remembers between `capacity` and twice as many digests; forgets the oldest half at once.
class DigestCache {
public:
    explicit DigestCache(std::size_t capacity) : capacity_(capacity) {}
    [[nodiscard]] bool contains(const Digest& digest);
    void insert(const Digest& digest);

private:
    std::mutex mutex_;
    std::size_t capacity_;
    std::unordered_set<Digest, DigestHash> recent_, older_;
};

/// The same PREPARE reaches every replica of a host, alone and inside COMMITs, and one bundle's
/// signature covers many requests. Only what was verified is remembered, under all of its bytes: a
/// certificate for the same digest that does not verify must not pass, because we serve it to
/// others. Thread-safe.
class SignatureCache final : public consensus::SignatureChecker {
public:
    using CheckUi =
        std::function<bool(UsigId identity, const consensus::Ui& ui, const Digest& digest)>;
    using CheckSignature =
        std::function<bool(ByteView public_key, const Digest& digest, ByteView signature)>;

    SignatureCache(CheckUi check_ui, CheckSignature check_signature, std::size_t capacity = 16384);

    bool certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) override;
    bool signed_by(ByteView public_key, const Digest& digest, ByteView signature) override;

    struct Report {
        std::uint64_t certificates = 0;  ///< really verified
        std::uint64_t signatures = 0;
        std::uint64_t hits = 0;
    };
    [[nodiscard]] Report report() const;

private:
    CheckUi check_ui_;
    CheckSignature check_signature_;
    DigestCache certificates_;
    DigestCache signatures_;
    std::atomic<std::uint64_t> certificate_checks_{0}, signature_checks_{0}, hits_{0};
};

}  // namespace bft::host
