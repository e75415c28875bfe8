#include "real_seals.hpp"

#include "base/invariant.hpp"
#include "base/prng.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

namespace bft::sim {

using namespace consensus;

namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t name_bytes = 16;
constexpr std::size_t value_bytes = 8;
constexpr std::size_t admin_keys = 3;

Bytes random_bytes(Prng& prng, std::size_t size) {
    Bytes bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(prng.next());
    return bytes;
}

crypto::SigningKey new_key(Prng& prng) {
    auto key = crypto::SigningKey::from_private(random_bytes(prng, key_bytes));
    invariant(key.has_value(), "32 bytes are an Ed25519 key");
    return std::move(*key);
}

/// A file of counters as SoftwareUsig::provision() writes it, with keys of the seed.
class CounterFile {
public:
    explicit CounterFile(const Bytes& records) {
        std::string path = (std::filesystem::temp_directory_path() / "sim-usig-XXXXXX").string();
        int file = ::mkstemp(path.data());
        invariant(file >= 0 && ::write(file, records.data(), records.size()) ==
                                   static_cast<ssize_t>(records.size()),
                  "a temporary file can be written");
        ::close(file);
        path_ = path;
    }
    ~CounterFile() { ::unlink(path_.c_str()); }
    CounterFile(const CounterFile&) = delete;
    CounterFile& operator=(const CounterFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace

RealSeals::RealSeals(std::uint64_t secret, std::uint32_t hosts, std::uint32_t clients,
                     std::uint32_t counters) {
    Prng prng(secret);
    for (std::uint32_t host = 0; host < hosts; ++host) {
        crypto::SigningKey key = new_key(prng);
        hosts_.push_back(key.public_key());
        keys_.emplace(hosts_.back(), std::move(key));
    }
    for (std::uint32_t client = 0; client < clients; ++client) {
        if (client % 2 == 1) {  // its signatures have another nonce each time, and nobody minds
            crypto::WebKey key = crypto::WebKey::generate();
            clients_.push_back(key.public_key());
            web_keys_.emplace(clients_.back(), std::move(key));
            continue;
        }
        crypto::SigningKey key = new_key(prng);
        clients_.push_back(key.public_key());
        keys_.emplace(clients_.back(), std::move(key));
    }
    Bytes records;
    std::map<UsigId, usig::PublicIdentity> wanted;
    std::vector<usig::PublicIdentity> identities;
    for (std::uint32_t counter = 0; counter < counters; ++counter) {
        Bytes secret_key = random_bytes(prng, key_bytes);
        auto key = crypto::SigningKey::from_private(secret_key);
        invariant(key.has_value(), "32 bytes are an Ed25519 key");
        usig::PublicIdentity identity;
        identity.scheme = usig::Scheme::software;
        identity.key = key->public_key();
        identity.counter = random_bytes(prng, name_bytes);
        for (const Bytes* part : {&secret_key, &identity.counter})
            records.insert(records.end(), part->begin(), part->end());
        records.resize(records.size() + value_bytes);
        wanted.emplace(UsigId(counter), identity);
        identities.push_back(std::move(identity));
    }
    CounterFile file(records);
    auto usig = usig::SoftwareUsig::open(file.path(), wanted);
    invariant(usig.has_value(), "the counters just written can be opened");
    usig_ = std::move(*usig);
    auto verifier = usig::Verifier::make(identities, usig::AllowSoftware::yes);
    invariant(verifier.has_value(), "the identities just made are good");
    verifier_.emplace(std::move(*verifier));
    for (std::size_t admin = 0; admin < admin_keys; ++admin) {
        crypto::SigningKey key = new_key(prng);
        admins_.push_back(key.public_key());
        keys_.emplace(admins_.back(), std::move(key));
    }
}

// A value that was spent and whose certificate is lost (T1v) was spent on something.
Ui RealSeals::certify(UsigId identity, Counter cv, std::uint32_t, const Digest& digest) {
    auto spend = [&](const Digest& on) {
        auto ui = usig_->create(identity, on, [](ByteView) { return Result<void>(); });
        invariant(ui.has_value(), "the software USIG certifies");
        return *ui;
    };
    while (usig_->value(identity)->next() < cv) spend(Digest{});
    Ui ui = spend(digest);
    invariant(ui.cv == cv, "a counter's values increase by one");
    return ui;
}

Bytes RealSeals::sign(ByteView public_key, const Digest& digest) {
    Bytes name = to_bytes(public_key);
    if (auto key = keys_.find(name); key != keys_.end()) return key->second.sign(digest);
    return web_keys_.at(name).sign(digest);
}

}  // namespace bft::sim
