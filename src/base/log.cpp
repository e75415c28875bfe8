#include "base/log.hpp"

#include "base/log_level.hpp"

#include <spdlog/sinks/stdout_sinks.h>

namespace bft::log {

void start(const std::string& who, const std::string& level) {
    auto logger =
        std::make_shared<spdlog::logger>(who, std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc);
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

void set_level(const std::string& level) {
    spdlog::default_logger()->set_level(spdlog::level::from_str(level));
}

std::string level() {
    const auto name = spdlog::level::to_string_view(spdlog::default_logger()->level());
    const std::string text(name.data(), name.size());
    return text == "warning" ? "warn" : text;
}

bool RateLimit::allow(TimePoint now, std::uint64_t* suppressed) {
    if (now - window_start_ >= window_) {
        window_start_ = now;
        used_ = 0;
    }
    if (used_ >= per_window_) {
        ++suppressed_;
        return false;
    }
    ++used_;
    if (suppressed != nullptr) *suppressed = suppressed_;
    suppressed_ = 0;
    return true;
}

}  // namespace bft::log
