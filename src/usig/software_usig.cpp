#include "usig/software_usig.hpp"

#include "base/invariant.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::usig {

namespace {

// One record for each counter: private key 32, name 16, value 8.
constexpr std::size_t key_bytes = 32;
constexpr std::size_t name_bytes = 16;
constexpr std::size_t record_bytes = key_bytes + name_bytes + 8;

struct KeyFree {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;
struct ContextFree {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

Result<PublicIdentity> public_part(const EVP_PKEY* key, ByteView name) {
    PublicIdentity out;
    out.scheme = Scheme::software;
    out.key.resize(key_bytes);
    std::size_t size = key_bytes;
    if (EVP_PKEY_get_raw_public_key(key, out.key.data(), &size) != 1 || size != key_bytes)
        return error(Errc::internal, "software USIG: not an Ed25519 key");
    out.counter = to_bytes(name);
    return out;
}

Result<std::array<std::uint8_t, record_bytes>> new_record() {
    std::array<std::uint8_t, record_bytes> record{};
    if (RAND_bytes(record.data(), key_bytes + name_bytes) != 1)
        return error(Errc::internal, "no random bytes from OpenSSL");
    return record;
}

std::string failure(const std::filesystem::path& file) {
    return "software USIG file " + file.string() + ": " + std::strerror(errno);
}

}  // namespace

struct SoftwareUsig::Slot {
    PublicIdentity identity;
    Key key;
    std::uint64_t value = 0;
    off_t offset = 0;

    static Result<std::unique_ptr<Slot>> parse(ByteView record, off_t offset) {
        auto slot = std::make_unique<Slot>();
        slot->key.reset(
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, record.data(), key_bytes));
        if (!slot->key) return error(Errc::internal, "software USIG: bad key");
        auto identity = public_part(slot->key.get(), record.subspan(key_bytes, name_bytes));
        if (!identity) return identity.error();
        slot->identity = std::move(*identity);
        slot->value = ByteReader(record.last(8)).get<std::uint64_t>();
        slot->offset = offset;
        return slot;
    }
};

Digest software_signed_digest(const PublicIdentity& identity, const consensus::Ui& ui,
                              const Digest& digest) {
    return Digester("usig-software")
        .digest(identity.epoch())
        .u64(ui.cv.value)
        .u32(ui.voids)
        .digest(digest)
        .finish();
}

SoftwareUsig::SoftwareUsig() = default;

SoftwareUsig::~SoftwareUsig() {
    if (file_ >= 0) ::close(file_);
}

Result<std::vector<PublicIdentity>> SoftwareUsig::provision(const std::filesystem::path& file,
                                                            std::size_t count) {
    Bytes all;
    std::vector<PublicIdentity> out;
    for (std::size_t i = 0; i < count; ++i) {
        auto record = new_record();
        if (!record) return record.error();
        auto slot = Slot::parse(*record, 0);
        if (!slot) return slot.error();
        out.push_back((*slot)->identity);
        all.insert(all.end(), record->begin(), record->end());
    }
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return error(Errc::io, failure(file));
    const bool written = ::write(fd, all.data(), all.size()) == std::ssize(all);
    ::close(fd);
    if (!written) return error(Errc::io, failure(file));
    return out;
}

Result<std::unique_ptr<SoftwareUsig>> SoftwareUsig::open(
    const std::filesystem::path& file, const std::map<UsigId, PublicIdentity>& wanted) {
    std::unique_ptr<SoftwareUsig> usig(new SoftwareUsig);
    usig->file_ = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    if (usig->file_ < 0) return error(Errc::not_found, failure(file));
    if (::flock(usig->file_, LOCK_EX | LOCK_NB) != 0)
        return error(Errc::unavailable,
                     "another process has the software USIG file " + file.string());
    std::array<std::uint8_t, record_bytes> record{};
    for (off_t offset = 0;
         ::pread(usig->file_, record.data(), record.size(), offset) == std::ssize(record);
         offset += record_bytes) {
        auto slot = Slot::parse(record, offset);
        if (!slot) return slot.error();
        usig->all_.push_back(std::move(*slot));
    }
    for (const auto& [id, identity] : wanted) {
        const auto is_it = [&its = identity](const auto& slot) { return slot->identity == its; };
        const auto found = std::ranges::find_if(usig->all_, is_it);
        if (found == usig->all_.end())
            return error(Errc::not_found, "software USIG file " + file.string() +
                                              " has no key for USIG identity " +
                                              std::to_string(id.value));
        usig->slots_.emplace(id, found->get());
    }
    return usig;
}

std::unique_ptr<SoftwareUsig> SoftwareUsig::ephemeral(const std::vector<UsigId>& ids) {
    std::unique_ptr<SoftwareUsig> usig(new SoftwareUsig);
    for (const auto id : ids) {
        const auto record = new_record();
        invariant(record.has_value(), "OpenSSL gives random bytes");
        auto slot = Slot::parse(*record, 0);
        invariant(slot.has_value(), "a new key is a key");
        usig->slots_.emplace(id, slot->get());
        usig->all_.push_back(std::move(*slot));
    }
    return usig;
}

const PublicIdentity& SoftwareUsig::identity(UsigId identity) const {
    return slots_.at(identity)->identity;
}

std::vector<UsigId> SoftwareUsig::identities() const {
    std::vector<UsigId> out;
    for (const auto& [id, slot] : slots_) out.push_back(id);
    return out;
}

Result<Counter> SoftwareUsig::value(UsigId identity) {
    const auto found = slots_.find(identity);
    if (found == slots_.end())
        return error(Errc::not_found, "no USIG identity " + std::to_string(identity.value));
    return Counter(found->second->value);
}

Result<consensus::Ui> SoftwareUsig::sign(const Slot& slot, const Digest& digest) const {
    consensus::Ui ui;
    ui.cv = Counter(slot.value);
    const auto over = software_signed_digest(slot.identity, ui, digest);
    ui.certificate.resize(64);
    std::size_t size = ui.certificate.size();
    std::unique_ptr<EVP_MD_CTX, ContextFree> context(EVP_MD_CTX_new());
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, slot.key.get()) != 1 ||
        EVP_DigestSign(context.get(), ui.certificate.data(), &size, over.bytes.data(),
                       over.bytes.size()) != 1)
        return error(Errc::internal, "software USIG: Ed25519 signature failed");
    return ui;
}

Result<consensus::Ui> SoftwareUsig::create(UsigId identity, const Digest& digest,
                                           const Progress& progress) {
    const auto found = slots_.find(identity);
    if (found == slots_.end())
        return error(Errc::not_found, "no USIG identity " + std::to_string(identity.value));
    Slot& slot = *found->second;
    if (auto ok = progress({}); !ok) return ok.error();
    if (file_ >= 0) {
        const auto next = ByteWriter().put(slot.value + 1).take();
        const auto at = slot.offset + static_cast<off_t>(record_bytes - next.size());
        if (::pwrite(file_, next.data(), next.size(), at) != std::ssize(next))
            return error(Errc::io, std::string("software USIG file: ") + std::strerror(errno));
    }
    ++slot.value;
    return sign(slot, digest);
}

Result<consensus::Ui> SoftwareUsig::resume(UsigId identity, const Digest& digest, Counter cv,
                                           ByteView) {
    auto now = value(identity);
    if (!now) return now.error();
    if (*now != cv) return error(Errc::refused, "the value to resume is not the last one");
    // The journal's intent is the only digest for this value: it was durable before the increment.
    return sign(*slots_.at(identity), digest);
}

}  // namespace bft::usig
