// Between the public values of include/bftnode and the catalog's calls and results.
#pragma once

#include "base/result.hpp"
#include "bftnode/client.hpp"
#include "catalog/application.hpp"

#include <string_view>
#include <vector>

namespace bft::client {

/// A call that the application takes, ready to be put into a request.
struct Prepared {
    PartitionId home;  ///< the first partition that the catalog names
    std::vector<PartitionId> parts;
    bool read_only = false;
    Bytes op;
};

/// Errors are for the caller: unknown procedure, wrong arguments.
Result<Prepared> prepare(const catalog::Application& application, std::string_view procedure,
                         std::vector<bftnode::Value> args);

bftnode::Rows to_rows(catalog::Rows&& rows);

}  // namespace bft::client
