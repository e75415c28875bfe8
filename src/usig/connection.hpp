// One open TPM: the transport, an ESYS context for provisioning and the SAPI context below it for
// the hot path (ESYS costs 2-3 ms of processor time for each command that uses a session).
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "usig/swtpm_tcti.hpp"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_sys.h>

#include <memory>
#include <string>
#include <vector>

namespace bft::usig {

/// "name (0x...)" of a response code.
std::string describe(TSS2_RC code);
/// Did the TPM itself answer with an error? Then the command had no effect. Otherwise the answer
/// was lost on the way and the command may have been performed.
bool answered_by_tpm(TSS2_RC code);
/// `code` without parameter, handle or session numbers.
TSS2_RC base_code(TSS2_RC code);

class Connection {
public:
    /// `tcti` is "device:/dev/tpmrm0", "swtpm:path=...", "swtpm:host=...,port=...", "mssim:..." or
    /// whatever else tss2-tctildr takes. Sends TPM2_Startup where nobody did. Errc::unavailable
    /// with a sentence for an operator where there is no TPM or another process has it.
    static Result<std::unique_ptr<Connection>> open(const std::string& tcti);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    ESYS_CONTEXT* esys() { return esys_; }
    TSS2_SYS_CONTEXT* sys() { return sys_; }
    [[nodiscard]] const std::string& tcti() const { return name_; }

    /// Calls `command` again while the TPM says that it did not start (busy, testing, wear-out
    /// protection), for at most 30 s.
    template <class Command>
    TSS2_RC run(Command&& command) {
        TSS2_RC code = command();
        for (int turn = 0; must_repeat(code) && pause(turn); ++turn) code = command();
        return code;
    }

    /// Handles of `first`'s kind that are in use.
    Result<std::vector<TPM2_HANDLE>> handles(TPM2_HANDLE first);
    /// Removes what earlier processes left loaded: the TPM has room for three sessions. Does
    /// nothing on a kernel resource manager, which does so itself.
    Result<void> flush_leftovers();

private:
    explicit Connection(std::string name) : name_(std::move(name)) {}
    Result<void> open_transport();
    Result<void> probe();
    static bool must_repeat(TSS2_RC code);
    static bool pause(int turn);

    std::string name_;
    std::unique_ptr<SwtpmTcti> swtpm_;
    TSS2_TCTI_CONTEXT* loaded_ = nullptr;  ///< by tss2-tctildr
    ESYS_CONTEXT* esys_ = nullptr;
    TSS2_SYS_CONTEXT* sys_ = nullptr;
};

/// Password authorization of a SAPI command.
TPMS_AUTH_COMMAND password(ByteView secret);

}  // namespace bft::usig
