// Stand-ins for a TPM and a disk that fail when told to.
#pragma once

#include "base/sha256.hpp"
#include "usig/backend.hpp"
#include "usig/journal.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace bft::usig::test {

inline Digest message(const std::string& text) {
    return sha256(as_bytes(text));
}

class TempFolder {
public:
    TempFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "bft-usig-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = pattern;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// Keeps what was put apart from what was synced.
class MemoryJournal : public Journal {
public:
    using Values = std::map<std::string, Bytes>;

    Result<void> put(const std::string& key, ByteView value) override {
        if (fail) return error(Errc::io, "disk full");
        if (trace != nullptr) trace->push_back("put " + key.substr(key.find('/') + 1));
        written[key] = to_bytes(value);
        return {};
    }
    Result<void> reserve() override {
        if (full) return error(Errc::exhausted, "disk full");
        return {};
    }
    Result<void> sync() override {
        if (fail) return error(Errc::io, "disk full");
        if (trace != nullptr) trace->push_back("sync");
        durable = written;
        return {};
    }
    Result<std::optional<Bytes>> get(const std::string& key) override {
        const auto found = written.find(key);
        return found == written.end() ? std::optional<Bytes>{} : std::optional(found->second);
    }
    /// As after a power cut.
    void lose_unsynced() { written = durable; }

    Values written;
    Values durable;
    std::atomic<bool> fail = false;
    std::atomic<bool> full = false;  ///< reserve() says so
    std::vector<std::string>* trace = nullptr;
};

/// Counters without keys: a certificate is the digest's bytes.
class FakeBackend : public Backend {
public:
    explicit FakeBackend(std::size_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            PublicIdentity identity;
            identity.scheme = Scheme::software;
            identity.key = Bytes(32, 1);
            identity.counter = Bytes(16, static_cast<std::uint8_t>(i));
            identities_[UsigId(i)] = identity;
            values[UsigId(i)] = 0;
        }
    }
    Result<Counter> value(UsigId identity) override { return Counter(values.at(identity)); }
    Result<consensus::Ui> create(UsigId identity, const Digest& digest,
                                 const Progress& progress) override {
        order.push_back(identity);
        if (on_create) on_create(identity);
        if (fail_before) return error(Errc::io, "before the increment");
        if (auto ok = progress(as_bytes("note")); !ok) return ok.error();
        if (trace != nullptr) trace->push_back("increment");
        ++values.at(identity);
        if (fail_after) return error(Errc::io, "after the increment");
        return certificate(identity, digest);
    }
    Result<consensus::Ui> resume(UsigId identity, const Digest& digest, Counter,
                                 ByteView note) override {
        if (!resumable || as_text(note) != "note") return error(Errc::refused, "session is gone");
        return certificate(identity, digest);
    }
    const PublicIdentity& identity(UsigId identity) const override {
        return identities_.at(identity);
    }
    std::vector<UsigId> identities() const override {
        std::vector<UsigId> out;
        for (const auto& [id, one] : identities_) out.push_back(id);
        return out;
    }

    std::map<UsigId, std::uint64_t> values;
    std::vector<UsigId> order;
    std::function<void(UsigId)> on_create;
    std::atomic<bool> fail_before = false;
    std::atomic<bool> fail_after = false;
    std::atomic<bool> resumable = true;
    std::vector<std::string>* trace = nullptr;

private:
    consensus::Ui certificate(UsigId identity, const Digest& digest) const {
        return {Counter(values.at(identity)), 0, to_bytes(digest.view())};
    }
    std::map<UsigId, PublicIdentity> identities_;
};

}  // namespace bft::usig::test
