// The counters of one TPM 2.0, construction A4s (docs/adr/0001): four commands and one signature
// for each certificate, by SAPI. Synchronous and single-threaded; the service runs it on a thread
// of its own.
#pragma once

#include "usig/a4s.hpp"
#include "usig/backend.hpp"
#include "usig/connection.hpp"
#include "usig/provision.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace bft::usig {

class Tpm2 : public Backend {
public:
    struct Options {
        std::string tcti;
        TpmSecrets secrets;
        TpmLayout layout;
    };

    /// Refuses a TPM that is missing or busy (Errc::unavailable), one whose key or counters are not
    /// those of `wanted` (Errc::refused: another cluster's), without a counter (Errc::not_found)
    /// and one whose counter stands below its pinned first value (Errc::refused: rolled back).
    static Result<std::unique_ptr<Tpm2>> open(const Options& options,
                                              const std::map<UsigId, PublicIdentity>& wanted);
    ~Tpm2() override;

    Result<Counter> value(UsigId identity) override;
    /// After a failure between the increment and its certificate, the next create() of the same
    /// identity proves the lost value void (Ui::voids), as long as the audit session lives. Until
    /// then create() of other identities is refused: they would overwrite the session's log.
    Result<consensus::Ui> create(UsigId identity, const Digest& digest,
                                 const Progress& progress) override;
    Result<consensus::Ui> resume(UsigId identity, const Digest& digest, Counter cv,
                                 ByteView note) override;
    const PublicIdentity& identity(UsigId identity) const override;
    std::vector<UsigId> identities() const override;

    /// For tests: called before each command of a certificate, with its number 1 to 4; an error
    /// stands for that command's failure with no effect on the TPM.
    void set_fault(std::function<Result<void>(int step)> fault) { fault_ = std::move(fault); }

private:
    struct Slot {
        PublicIdentity identity;
        Bytes name;
        Digest auth;
        std::uint32_t index = 0;
    };
    /// The session's audit log since auditReset, while it holds a value without certificate.
    struct Open {
        UsigId identity{};
        std::uint32_t session = 0;
        std::uint64_t before_value = 0;
        std::uint16_t increments = 0;
        a4s::Stamp before{};
        std::optional<a4s::Stamp> after;

        [[nodiscard]] Bytes encode() const;
        static std::optional<Open> decode(ByteView note);
    };
    struct Attested {
        Digest session;
        std::uint8_t exclusive = 0;
        a4s::Stamp stamp{};
        std::array<std::uint8_t, 32> r{};
        std::array<std::uint8_t, 32> s{};
    };
    struct Reading {
        std::uint64_t value = 0;
        a4s::Stamp stamp{};
    };

    explicit Tpm2(std::unique_ptr<Connection> connection, Options options);
    Result<void> adopt(UsigId id, const PublicIdentity& identity, ByteView key);
    Result<Slot*> slot(UsigId identity);
    Result<void> start_session();
    Result<void> begin(UsigId identity, const Slot& slot);
    Result<void> finish_log(const Slot& slot, const Digest& digest);
    Result<consensus::Ui> certificate(const Slot& slot, const Digest& digest,
                                      const Attested& signed_log);

    // The four commands.
    Result<Reading> certify(const Slot& slot, ByteView qualifying, bool reset, int step);
    Result<void> increment(const Slot& slot);
    Result<Attested> attest();
    Error failed(const char* command, TSS2_RC code);
    [[nodiscard]] Result<void> usable(int step);

    std::unique_ptr<Connection> tpm_;
    Options options_;
    std::map<UsigId, Slot> slots_;
    std::uint32_t session_ = 0;  ///< S; 0: not started yet
    std::optional<Open> open_;
    std::optional<Error> dead_;  ///< an answer was lost: only a restart tells what happened
    std::function<Result<void>(int)> fault_;
};

}  // namespace bft::usig
