// Checks what clients see signed: the word of hosts. Certificates of counters never reach a client.
#pragma once

#include "consensus/verify.hpp"
#include "crypto/signing_key.hpp"

namespace bft::client {

class KeyChecker final : public consensus::SignatureChecker {
public:
    bool certified(UsigId, const consensus::Ui&, const Digest&) override { return false; }
    bool signed_by(ByteView public_key, const Digest& digest, ByteView signature) override {
        return crypto::verify(public_key, digest, signature);
    }
};

}  // namespace bft::client
