// A TCTI for swtpm that keeps one connection open. The distribution's libtss2-tcti-swtpm connects
// anew for each command, which costs time and lets several processes share one TPM unnoticed; swtpm
// serves one connection at a time, so holding it makes the second process fail with "busy".
#pragma once

#include "base/result.hpp"

#include <tss2/tss2_tcti.h>

#include <chrono>
#include <memory>
#include <string>

namespace bft::usig {

class SwtpmTcti {
public:
    /// `address`: "path=/run/tpm.sock" or "host=127.0.0.1,port=2321" (host is optional).
    static Result<std::unique_ptr<SwtpmTcti>> connect(const std::string& address);
    ~SwtpmTcti();
    SwtpmTcti(const SwtpmTcti&) = delete;
    SwtpmTcti& operator=(const SwtpmTcti&) = delete;

    TSS2_TCTI_CONTEXT* context();
    /// How long an answer may take; beyond it the command fails with TSS2_TCTI_RC_IO_ERROR.
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
    [[nodiscard]] bool timed_out() const { return timed_out_; }

private:
    friend struct SwtpmTctiCalls;
    struct Context;
    explicit SwtpmTcti(int socket);
    TSS2_RC transmit(const std::uint8_t* command, std::size_t size);
    TSS2_RC receive(std::uint8_t* response, std::size_t* size);
    bool read_fully(std::uint8_t* to, std::size_t size);

    int socket_;
    std::chrono::milliseconds patience_{120'000};
    bool timed_out_ = false;
    std::unique_ptr<Context> context_;
};

}  // namespace bft::usig
