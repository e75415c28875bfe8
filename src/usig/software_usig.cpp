#include "usig/software_usig.hpp"

#include "base/invariant.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::usig {

namespace {

// One record for each counter: private key 32, name 16, value 8.
constexpr std::size_t key_bytes = 32;
constexpr std::size_t name_bytes = 16;
constexpr std::size_t record_bytes = key_bytes + name_bytes + 8;

std::array<std::uint8_t, record_bytes> new_record() {
    invariant(sodium_init() >= 0, "libsodium finds a source of random bytes");
    std::array<std::uint8_t, record_bytes> record{};
    randombytes_buf(record.data(), key_bytes + name_bytes);
    return record;
}

std::string failure(const std::filesystem::path& file) {
    return "software USIG file " + file.string() + ": " + std::strerror(errno);
}

}  // namespace

struct SoftwareUsig::Slot {
    PublicIdentity identity;
    std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> key{};
    std::uint64_t value = 0;
    off_t offset = 0;

    Slot(ByteView record, off_t at) : offset(at) {
        identity.scheme = Scheme::software;
        identity.key.resize(key_bytes);
        crypto_sign_seed_keypair(identity.key.data(), key.data(), record.data());
        identity.counter = to_bytes(record.subspan(key_bytes, name_bytes));
        value = ByteReader(record.last(8)).get<std::uint64_t>();
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
        const auto record = new_record();
        out.push_back(Slot(record, 0).identity);
        all.insert(all.end(), record.begin(), record.end());
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
        usig->all_.push_back(std::make_unique<Slot>(record, offset));
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
        usig->all_.push_back(std::make_unique<Slot>(new_record(), 0));
        usig->slots_.emplace(id, usig->all_.back().get());
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
    ui.certificate.resize(crypto_sign_BYTES);
    crypto_sign_detached(ui.certificate.data(), nullptr, over.bytes.data(), over.bytes.size(),
                         slot.key.data());
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
