#include "node/bftctl_change.hpp"

#include "base/log.hpp"

#include <boost/json/serialize.hpp>

#include <chrono>
#include <cstdio>

namespace bft::node {

namespace json = boost::json;

Duration ChangeOptions::patience() const {
    return std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
}

void add_looking(CLI::App& command, ChangeOptions& options) {
    command.add_option("--client", options.client, "a client's folder, made by init")->required();
    command.add_option("--timeout", options.timeout_s, "give up after so many seconds")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    command.add_option("--format", options.format, "table, or json for programs")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
}

void add_changing(CLI::App& command, ChangeOptions& options) {
    add_looking(command, options);
    command.add_option("--key", options.keys, "an admin's key; as often as keys must sign")
        ->required();
    command.add_flag("--dry-run", options.dry_run,
                     "only say what would change, and whether it is allowed");
}

int say_failed(const Error& why) {
    std::fprintf(stderr, "bftctl: %s\n", why.what.c_str());
    return why.code == Errc::unavailable ? exit_unknown : exit_failed;
}

namespace {

Result<Running> look_as(const ChangeOptions& options,
                        std::optional<consensus::Membership> membership) {
    log::start("bftctl", "warn");  // standard output is for the answer
    auto config = client::load_config(options.client);
    if (!config) return config.error();
    auto admin = membership ? client::Admin::open(*config, std::move(*membership))
                            : client::Admin::open(*config);
    if (!admin) return admin.error();
    auto now = (*admin)->current(options.patience());
    if (!now) return now.error();
    return Running{std::move(*config), std::move(*admin), std::move(*now)};
}

std::int64_t since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 began)
        .count();
}

}  // namespace

Result<Running> look(const ChangeOptions& options) {
    return look_as(options, {});
}

Result<Running> look(const ChangeOptions& options, consensus::Membership membership) {
    return look_as(options, std::move(membership));
}

int bring(const ChangeOptions& options, Running& running, consensus::ConfigChange change,
          const std::vector<std::string>& lines, json::object document, const ChangeSteps& steps) {
    change.version = running.now.version.next();
    if (auto next = consensus::apply(running.now, change); !next) return say_failed(next.error());
    auto keys = client::load_keys(options.keys);
    if (!keys) return say_failed(keys.error());
    auto request = client::sign_change(running.config.cluster, running.now.admins, change, *keys);
    auto say = [&](const std::string& line) {
        if (!options.json()) std::printf("%s\n", line.c_str());
        std::fflush(stdout);
    };
    auto conclude = [&] {
        if (options.json()) std::printf("%s\n", json::serialize(document).c_str());
    };
    document["version"] = change.version.value;
    for (const std::string& line : lines) say(line);
    Result<void> allowed = request ? Result<void>() : request.error();
    if (allowed && steps.allowed) allowed = steps.allowed();
    if (options.dry_run) {
        document["allowed"] = allowed.has_value();
        if (!allowed) document["why_not"] = allowed.error().what;
        say(allowed ? "allowed; nothing was changed"
                    : "not allowed: " + allowed.error().what + "; nothing was changed");
        conclude();
        return allowed ? exit_done : exit_failed;
    }
    if (!allowed) return say_failed(allowed.error());
    const auto began = std::chrono::steady_clock::now();
    auto barrier = running.admin->order(*request, options.patience());
    if (!barrier) return say_failed(barrier.error());
    document["slot"] = (*barrier)->slot.value;
    document["milliseconds"] = since(began);
    say("configuration " + std::to_string(change.version.value) + " is in force behind slot " +
        std::to_string((*barrier)->slot.value) + ", after " + std::to_string(since(began)) + " ms");
    Result<void> done = steps.in_force ? steps.in_force(document) : Result<void>();
    conclude();
    return done ? exit_done : say_failed(done.error());
}

}  // namespace bft::node
