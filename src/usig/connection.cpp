#include "usig/connection.hpp"

#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace bft::usig {

namespace {

constexpr std::chrono::milliseconds probe_patience{5000};
constexpr std::chrono::milliseconds command_patience{120'000};
constexpr std::string_view device_prefix = "device:";
constexpr std::string_view swtpm_prefix = "swtpm:";

const char* name_of(TSS2_RC base) {
    switch (base) {
        case TPM2_RC_BAD_AUTH:
            return "wrong authorization value";
        case TPM2_RC_AUTH_FAIL:
            return "wrong authorization value, counted as an attack";
        case TPM2_RC_LOCKOUT:
            return "dictionary attack lockout";
        case TPM2_RC_HANDLE:
            return "no such handle";
        case TPM2_RC_VALUE:
            return "bad value";
        case TPM2_RC_NV_DEFINED:
            return "already defined";
        case TPM2_RC_NV_SPACE:
            return "no NV space left";
        case TPM2_RC_NV_RATE:
            return "wear-out protection";
        case TPM2_RC_NV_UNINITIALIZED:
            return "index was never written";
        case TPM2_RC_INITIALIZE:
            return "not started up";
        case TPM2_RC_FAILURE:
            return "failure mode";
        case TPM2_RC_SESSION_MEMORY:
            return "no room for another session";
        case TPM2_RC_OBJECT_MEMORY:
            return "no room for another object";
        case TPM2_RC_EXCLUSIVE:
            return "session is not exclusive";
        case TPM2_RC_REFERENCE_S0:
            return "session is not loaded";
        default:
            return "error";
    }
}

/// A sentence for the two ways in which a device cannot be had; the library says neither.
Result<void> check_device(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        ::close(fd);
        return {};
    }
    if (errno == EBUSY)
        return error(Errc::unavailable, "TPM busy: another process has " + path +
                                            " open; stop it, or use the resource manager "
                                            "device:/dev/tpmrm0");
    return error(Errc::unavailable,
                 "TPM missing: cannot open " + path + " (" + std::strerror(errno) +
                     "); enable the TPM, correct tcti, or add this user to group "
                     "tss");
}

}  // namespace

TSS2_RC base_code(TSS2_RC code) {
    if ((code & TPM2_RC_FMT1) != 0) return code & (TPM2_RC_FMT1 | 0x3f);
    return code;
}

bool answered_by_tpm(TSS2_RC code) {
    return (code & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER;
}

std::string describe(TSS2_RC code) {
    char number[16];
    std::snprintf(number, sizeof number, "0x%x", code);
    if (answered_by_tpm(code)) return std::string(name_of(base_code(code))) + " (" + number + ")";
    return std::string("no valid answer (") + number + ")";
}

TPMS_AUTH_COMMAND password(ByteView secret) {
    TPMS_AUTH_COMMAND auth{};
    auth.sessionHandle = TPM2_RS_PW;
    auth.hmac.size = static_cast<UINT16>(std::min(secret.size(), sizeof auth.hmac.buffer));
    if (auth.hmac.size > 0) std::memcpy(auth.hmac.buffer, secret.data(), auth.hmac.size);
    return auth;
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& tcti) {
    // tpm2-tss writes its own lines to standard error; what went wrong is in our sentences.
    ::setenv("TSS2_LOG", "all+none", 0);
    std::unique_ptr<Connection> connection(new Connection(tcti));
    if (auto ok = connection->open_transport(); !ok) return ok.error();
    auto* transport = connection->swtpm_ ? connection->swtpm_->context() : connection->loaded_;
    TSS2_ABI_VERSION abi = TSS2_ABI_VERSION_CURRENT;
    if (const auto code = Esys_Initialize(&connection->esys_, transport, &abi); code != 0)
        return error(Errc::internal, "Esys_Initialize: " + describe(code));
    if (const auto code = Esys_GetSysContext(connection->esys_, &connection->sys_); code != 0)
        return error(Errc::internal, "Esys_GetSysContext: " + describe(code));
    if (auto ok = connection->probe(); !ok) return ok.error();
    return connection;
}

Connection::~Connection() {
    if (esys_ != nullptr) Esys_Finalize(&esys_);
    if (loaded_ != nullptr) Tss2_TctiLdr_Finalize(&loaded_);
}

Result<void> Connection::open_transport() {
    if (name_.starts_with(swtpm_prefix)) {
        auto swtpm = SwtpmTcti::connect(name_.substr(swtpm_prefix.size()));
        if (!swtpm) return swtpm.error();
        swtpm_ = std::move(*swtpm);
        return {};
    }
    if (name_.starts_with(device_prefix)) {
        if (auto ok = check_device(name_.substr(device_prefix.size())); !ok) return ok;
    }
    if (const auto code = Tss2_TctiLdr_Initialize(name_.c_str(), &loaded_); code != 0)
        return error(Errc::unavailable, "TPM missing: cannot open tcti '" + name_ + "' (" +
                                            describe(code) + "); correct tcti or start the TPM");
    return {};
}

Result<void> Connection::probe() {
    if (swtpm_) swtpm_->set_patience(probe_patience);
    TPMI_YES_NO more = 0;
    TPMS_CAPABILITY_DATA data{};
    const auto ask = [&] {
        return Tss2_Sys_GetCapability(sys_, nullptr, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER,
                                      1, &more, &data, nullptr);
    };
    auto code = run(ask);
    if (base_code(code) == TPM2_RC_INITIALIZE) {
        code = run([&] { return Tss2_Sys_Startup(sys_, TPM2_SU_CLEAR); });
        if (code == 0) code = run(ask);
    }
    if (swtpm_ && swtpm_->timed_out())
        return error(Errc::unavailable, "TPM busy: " + name_ +
                                            " accepts connections but does not answer; another "
                                            "process (a second USIG service?) holds it");
    if (code != 0)
        return error(Errc::unavailable,
                     "TPM at " + name_ + " does not answer as a TPM 2.0: " + describe(code));
    if (swtpm_) swtpm_->set_patience(command_patience);
    return {};
}

bool Connection::must_repeat(TSS2_RC code) {
    return code == TPM2_RC_RETRY || code == TPM2_RC_YIELDED || code == TPM2_RC_TESTING ||
           code == TPM2_RC_NV_RATE;
}

bool Connection::pause(int turn) {
    if (turn >= 300) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(1 << std::min(turn, 10), 100)));
    return true;
}

Result<std::vector<TPM2_HANDLE>> Connection::handles(TPM2_HANDLE first) {
    TPMI_YES_NO more = 0;
    TPMS_CAPABILITY_DATA data{};
    const auto code = run([&] {
        return Tss2_Sys_GetCapability(sys_, nullptr, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES,
                                      &more, &data, nullptr);
    });
    if (code != 0) return error(Errc::io, "TPM GetCapability(handles): " + describe(code));
    const auto& list = data.data.handles;
    std::vector<TPM2_HANDLE> out;
    for (UINT32 i = 0; i < std::min<UINT32>(list.count, TPM2_MAX_CAP_HANDLES); ++i)
        if (first == TPM2_LOADED_SESSION_FIRST || first == TPM2_ACTIVE_SESSION_FIRST ||
            (list.handle[i] >> 24) == (first >> 24))  // sessions of all kinds are in one list
            out.push_back(list.handle[i]);
    return out;
}

Result<void> Connection::flush_leftovers() {
    if (name_.starts_with("device:/dev/tpmrm")) return {};
    for (const TPM2_HANDLE kind :
         {TPM2_LOADED_SESSION_FIRST, TPM2_ACTIVE_SESSION_FIRST, TPM2_TRANSIENT_FIRST}) {
        auto list = handles(kind);
        if (!list) return list.error();
        // One that is gone already is no failure.
        for (const auto handle : *list) run([&] { return Tss2_Sys_FlushContext(sys_, handle); });
    }
    return {};
}

}  // namespace bft::usig
