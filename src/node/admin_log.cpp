#include "node/admin_log.hpp"

#include "base/log.hpp"

#include <boost/json/serialize.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace bft::node {

namespace {

std::string utc_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    const std::time_t seconds = milliseconds / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char date[32], text[48];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(milliseconds % 1000));
    return text;
}

}  // namespace

Result<AdminLog> AdminLog::open(const std::filesystem::path& file, std::string host) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0)
        return error(Errc::io, "cannot write to " + file.string() + ": " + std::strerror(errno));
    return AdminLog(file, std::move(host), descriptor);
}

AdminLog::AdminLog(AdminLog&& other) noexcept
    : file_(std::move(other.file_)),
      host_(std::move(other.host_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AdminLog::~AdminLog() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> AdminLog::record(const Caller& caller, std::string_view act,
                              std::string_view outcome) {
    boost::json::object line{{"time", utc_now()}, {"host", host_}, {"uid", caller.uid}};
    if (!caller.login_uid.empty()) line["login_uid"] = caller.login_uid;
    line["pid"] = caller.pid;
    line["act"] = act;
    line["outcome"] = outcome;
    return write(std::move(line));
}

Result<void> AdminLog::record(std::string_view act, std::string_view outcome) {
    return write({{"time", utc_now()},
                  {"host", host_},
                  {"uid", ::getuid()},
                  {"pid", ::getpid()},
                  {"act", act},
                  {"outcome", outcome}});
}

Result<void> AdminLog::write(boost::json::object line) {
    // JSON's escapes keep whatever a caller sent on one line.
    const std::string text = boost::json::serialize(line);
    log::info("admin {}", text);
    const std::string whole = text + "\n";
    const ssize_t written = ::write(descriptor_, whole.data(), whole.size());
    if (written != static_cast<ssize_t>(whole.size()) || ::fdatasync(descriptor_) != 0)
        return error(Errc::io, "cannot write to " + file_.string() + ": " + std::strerror(errno));
    return {};
}

}  // namespace bft::node
