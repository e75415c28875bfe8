#include "host/signature_cache.hpp"

#include "base/sha256.hpp"

namespace bft::host {

bool DigestCache::contains(const Digest& digest) {
    std::lock_guard lock(mutex_);
    return recent_.contains(digest) || older_.contains(digest);
}

void DigestCache::insert(const Digest& digest) {
    std::lock_guard lock(mutex_);
    recent_.insert(digest);
    if (recent_.size() < capacity_) return;
    older_ = std::move(recent_);
    recent_.clear();
}

SignatureCache::SignatureCache(CheckUi check_ui, CheckSignature check_signature,
                               std::size_t capacity)
    : check_ui_(std::move(check_ui)),
      check_signature_(std::move(check_signature)),
      certificates_(capacity),
      signatures_(capacity) {}

bool SignatureCache::certified(UsigId identity, const consensus::Ui& ui, const Digest& digest) {
    Digest name = Digester("ui")
                      .u32(identity.value)
                      .u64(ui.cv.value)
                      .u32(ui.voids)
                      .digest(digest)
                      .bytes(ui.certificate)
                      .finish();
    if (certificates_.contains(name)) {
        ++hits_;
        return true;
    }
    ++certificate_checks_;
    if (!check_ui_(identity, ui, digest)) return false;
    certificates_.insert(name);
    return true;
}

bool SignatureCache::signed_by(ByteView public_key, const Digest& digest, ByteView signature) {
    Digest name = Digester("sig").bytes(public_key).digest(digest).bytes(signature).finish();
    if (signatures_.contains(name)) {
        ++hits_;
        return true;
    }
    ++signature_checks_;
    if (!check_signature_(public_key, digest, signature)) return false;
    signatures_.insert(name);
    return true;
}

SignatureCache::Report SignatureCache::report() const {
    return {certificate_checks_, signature_checks_, hits_};
}

}  // namespace bft::host
