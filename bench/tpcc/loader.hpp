// Brings TPC-C's initial state into empty servers, the same into each (the cluster's genesis
// state).
#pragma once

#include "base/result.hpp"
#include "catalog/application.hpp"
#include "population.hpp"
#include "session.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bft::tpcc {

struct LoadProgress {
    std::uint64_t rows_sent = 0;
    std::uint64_t rows_total = 0;
};

class Loader {
public:
    /// `servers` name the database that is made. One that is there already must have neither rows
    /// nor executed transactions, unless `replace`: then it is removed first.
    Loader(const catalog::Application& application, std::vector<Login> servers, Scale scale,
           std::uint64_t seed, bool replace);

    /// The application, as voters install it, its rows, and optimizer statistics. `progress` is
    /// called about once a second. On failure the tables are empty.
    Result<void> run(const std::function<void(LoadProgress)>& progress);

private:
    Result<void> prepare(const Login& server);
    static void empty(const Login& server);
    Result<void> load_rows(const std::function<void(LoadProgress)>& progress);
    Result<void> share_statistics();

    const catalog::Application& application_;
    std::vector<Login> servers_;
    Population population_;
    bool replace_;
};

}  // namespace bft::tpcc
