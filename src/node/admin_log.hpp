// Who told this daemon to do what, when, and what came of it: one JSON object a line, appended to
// `data_dir`/admin.log and made durable before the act is answered; and the same in the log.
#pragma once

#include "base/result.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace bft::node {

/// The other end of a unix socket, as the kernel says.
struct Caller {
    std::uint32_t uid = 0;
    pid_t pid = 0;
    /// Who logged in at the beginning, whatever they became by sudo or su; empty: not known.
    std::string login_uid;
};

class AdminLog {
public:
    /// Appends to `file` (mode 0640), which is made when it is missing.
    static Result<AdminLog> open(const std::filesystem::path& file, std::string host);
    AdminLog(AdminLog&& other) noexcept;
    AdminLog& operator=(AdminLog&&) = delete;
    ~AdminLog();

    /// The first words of `act` are its name; `outcome` is "ok" or says why not. Errc::io: it is
    /// not on the disk.
    Result<void> record(const Caller& caller, std::string_view act, std::string_view outcome);
    /// What nobody in particular did: "start", "stop".
    Result<void> record(std::string_view act, std::string_view outcome);

private:
    AdminLog(std::filesystem::path file, std::string host, int descriptor)
        : file_(std::move(file)), host_(std::move(host)), descriptor_(descriptor) {}
    Result<void> write(boost::json::object line);

    std::filesystem::path file_;
    std::string host_;
    int descriptor_ = -1;
};

}  // namespace bft::node
