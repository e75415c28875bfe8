// Insecure stand-in for a TPM: whoever runs this process can forge. For simulation and tests only;
// verifiers refuse it unless they are told otherwise (AllowSoftware).
#pragma once

#include "usig/backend.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <vector>

namespace bft::usig {

/// What a software certificate signs.
Digest software_signed_digest(const PublicIdentity& identity, const consensus::Ui& ui,
                              const Digest& digest);

class SoftwareUsig : public Backend {
public:
    /// `count` fresh counters with new keys, all in one file (mode 0600) that keeps keys and
    /// values.
    static Result<std::vector<PublicIdentity>> provision(const std::filesystem::path& file,
                                                         std::size_t count);
    /// Opens the counters of `wanted`. Errc::not_found: the file holds no such key.
    static Result<std::unique_ptr<SoftwareUsig>> open(
        const std::filesystem::path& file, const std::map<UsigId, PublicIdentity>& wanted);
    /// In memory only.
    static std::unique_ptr<SoftwareUsig> ephemeral(const std::vector<UsigId>& ids);
    ~SoftwareUsig() override;

    Result<Counter> value(UsigId identity) override;
    Result<consensus::Ui> create(UsigId identity, const Digest& digest,
                                 const Progress& progress) override;
    Result<consensus::Ui> resume(UsigId identity, const Digest& digest, Counter cv,
                                 ByteView note) override;
    const PublicIdentity& identity(UsigId identity) const override;
    std::vector<UsigId> identities() const override;

private:
    struct Slot;
    SoftwareUsig();
    Result<consensus::Ui> sign(const Slot& slot, const Digest& digest) const;

    int file_ = -1;                           ///< -1: in memory only
    std::vector<std::unique_ptr<Slot>> all_;  ///< every counter of the file
    std::map<UsigId, Slot*> slots_;
};

}  // namespace bft::usig
