// The signatures and certificates of production in a simulated cluster: Ed25519 for hosts and half
// of the clients, P-256 for the others, and the software USIG, checked by the code that checks them
// in a daemon. Its keys follow from the seed, so that a run is what its seed says.
#pragma once

#include "crypto/signing_key.hpp"
#include "crypto/web_key.hpp"
#include "tokens.hpp"
#include "usig/software_usig.hpp"
#include "usig/verifier.hpp"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace bft::sim {

class RealSeals final : public Seals {
public:
    RealSeals(std::uint64_t secret, std::uint32_t hosts, std::uint32_t clients,
              std::uint32_t counters);

    [[nodiscard]] consensus::Ui certify(UsigId identity, Counter cv, std::uint32_t voids,
                                        const Digest& digest) override;
    [[nodiscard]] Bytes sign(ByteView public_key, const Digest& digest) override;
    [[nodiscard]] Bytes host_key(HostId host) const override { return hosts_.at(host.value); }
    [[nodiscard]] Bytes client_key(ClientId client) const override {
        return clients_.at(client.value);
    }
    [[nodiscard]] Bytes admin_key(std::uint32_t key) const override { return admins_.at(key); }
    bool certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) override {
        return verifier_->verify(identity, ui, digest);
    }
    bool signed_by(ByteView public_key, const Digest& digest, ByteView signature) override {
        return crypto::verify(public_key, digest, signature);
    }

private:
    std::vector<Bytes> hosts_, clients_, admins_;  ///< public keys
    std::map<Bytes, crypto::SigningKey> keys_;
    std::map<Bytes, crypto::WebKey> web_keys_;
    std::unique_ptr<usig::SoftwareUsig> usig_;
    std::optional<usig::Verifier> verifier_;
};

}  // namespace bft::sim
