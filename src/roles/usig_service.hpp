// The service that owns this host's TPM and lends its counters to the host's roles.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "usig/service.hpp"

#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace bft::roles {

struct UsigServiceOptions {
    std::filesystem::path socket;
    std::filesystem::path tokens;   ///< file: what entitles a role to its counter
    std::filesystem::path secrets;  ///< file: what entitles us to the TPM's counters
    std::filesystem::path journal;  ///< folder
    std::filesystem::path folder;   ///< that a relative "software:FILE" is taken from
    std::string tcti;               ///< "software:FILE": the insecure stand-in
    bool allow_software = false;
    Duration tpm_delay{};
    std::map<UsigId, usig::PublicIdentity> identities;  ///< that the cluster file gives this host
};

class UsigServiceRole {
public:
    /// Opens the TPM and compares it with the journal. `failed` is called on the loop when either
    /// fails for good.
    static Result<std::unique_ptr<UsigServiceRole>> open(boost::asio::io_context& loop,
                                                         const UsigServiceOptions& options,
                                                         std::function<void(const Error&)> failed);

private:
    explicit UsigServiceRole(std::unique_ptr<usig::Service> service)
        : service_(std::move(service)) {}

    std::unique_ptr<usig::Service> service_;
};

}  // namespace bft::roles
