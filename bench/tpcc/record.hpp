// What was acknowledged, one line a call, so that somebody can look for it in the databases
// afterwards: everything that is there must have been asked for, and once.
#pragma once

#include "base/result.hpp"
#include "workload.hpp"

#include <bftnode/client.hpp>
#include <fstream>
#include <string>

namespace bft::tpcc {

/// Fields are separated by spaces:
///
///     ok new_order W_ID D_ID C_ID LINES O_ID
///     ok payment W_ID D_ID C_W_ID C_D_ID C_ID AMOUNT     (C_ID as answered)
///     ok delivery W_ID CARRIER_ID D_ID:O_ID ...
///     lost ...                                           no outcome: done once, or not at all
///
/// of a lost call O_ID is left out, and so are a delivery's orders; C_ID may be 0. Calls that only
/// read, and those that were aborted as TPC-C wants it, leave nothing to look for. Not thread-safe.
class Record {
public:
    Result<void> open(const std::string& file);
    [[nodiscard]] bool is_open() const { return out_.is_open(); }

    void answered(const Request& request, const bftnode::CallResult& result);
    /// The driver waits no longer.
    void lost(const Request& request);
    Result<void> close();

private:
    std::string file_;
    std::ofstream out_;
};

/// When each call was over, one line a call: MILLISECONDS W_ID MICROSECONDS, the wall clock's time,
/// the terminal's warehouse, and what the call took. Not thread-safe.
class Timeline {
public:
    Result<void> open(const std::string& file);
    void answered(const Request& request, std::uint64_t latency_us);
    Result<void> close();

private:
    std::string file_;
    std::ofstream out_;
};

/// Without newline; empty when there is nothing to look for. `result` is null for a lost call.
std::string record_line(const Request& request, const bftnode::CallResult* result);

}  // namespace bft::tpcc
