// bftctl key: who may change the configuration. bftctl feature: rules that begin at one slot, on
// every host.
#include "base/bytes.hpp"
#include "node/bftctl_change.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <cstdio>
#include <filesystem>

namespace bft::node {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Options : ChangeOptions {
    std::vector<std::string> admins;  ///< files of keys
    std::vector<std::string> movers;  ///< files of keys for controllers
    std::uint32_t quorum = 0;
    std::uint64_t level = 0;
    bool allow_absent = false;
};

// --- admin keys

struct Admins {
    consensus::AdminKeys keys;
    std::vector<std::pair<fs::path, crypto::SigningKey>> made;
};

// A file that is there is a key; one that is not gets one.
Result<void> take(const std::vector<std::string>& files, std::vector<Bytes>& keys, Admins& admins) {
    for (const std::string& file : files) {
        if (fs::exists(file)) {
            auto key = crypto::SigningKey::load(file);
            if (!key) return key.error();
            keys.push_back(key->public_key());
            continue;
        }
        crypto::SigningKey key = crypto::SigningKey::generate();
        keys.push_back(key.public_key());
        admins.made.emplace_back(file, std::move(key));
    }
    return {};
}

// What is said and ordered: `admins` in the place of those in force.
int bring_admins(const Options& options, Running& running, const Admins& admins) {
    consensus::ConfigChange change;
    change.admins = admins.keys;
    std::vector<std::string> lines;
    json::array keys, movers;
    for (const Bytes& key : admins.keys.keys) {
        lines.push_back("admin key " + hex(key));
        keys.emplace_back(hex(key));
    }
    lines.push_back(std::to_string(admins.keys.quorum) + " of " +
                    std::to_string(admins.keys.keys.size()) + " must sign");
    for (const Bytes& key : admins.keys.movers) {
        lines.push_back("a controller's, for partitions and groups only: " + hex(key));
        movers.emplace_back(hex(key));
    }
    // Before anything is ordered: nobody could change anything with keys that nobody has.
    if (!options.dry_run)
        for (const auto& [file, key] : admins.made)
            if (auto done = key.save(file); !done) return say_failed(done.error());
    return bring(
        options, running, std::move(change), lines,
        {{"keys", std::move(keys)}, {"quorum", admins.keys.quorum}, {"movers", std::move(movers)}});
}

int rotate(const Options& options) {
    Admins admins;
    if (auto done = take(options.admins, admins.keys.keys, admins); !done)
        return say_failed(done.error());
    if (auto done = take(options.movers, admins.keys.movers, admins); !done)
        return say_failed(done.error());
    const auto count = static_cast<std::uint32_t>(admins.keys.keys.size());
    admins.keys.quorum = options.quorum == 0 ? count / 2 + 1 : options.quorum;
    auto running = look(options);
    if (!running) return say_failed(running.error());
    return bring_admins(options, *running, admins);
}

int grant(const Options& options) {
    auto running = look(options);
    if (!running) return say_failed(running.error());
    Admins admins{running->now.admins, {}};
    if (auto done = take(options.movers, admins.keys.movers, admins); !done)
        return say_failed(done.error());
    return bring_admins(options, *running, admins);
}

int list_keys(const Options& options) {
    auto running = look(options);
    if (!running) return say_failed(running.error());
    const consensus::AdminKeys& admins = running->now.admins;
    json::array keys;
    if (!options.json())
        std::printf("configuration %llu\n%u of these %zu admin keys must sign:\n",
                    static_cast<unsigned long long>(running->now.version.value), admins.quorum,
                    admins.keys.size());
    for (const Bytes& key : admins.keys) {
        if (!options.json()) std::printf("%s\n", hex(key).c_str());
        keys.emplace_back(hex(key));
    }
    json::array movers;
    if (!options.json() && !admins.movers.empty())
        std::printf("each of these is a controller's, for partitions and groups only:\n");
    for (const Bytes& key : admins.movers) {
        if (!options.json()) std::printf("%s\n", hex(key).c_str());
        movers.emplace_back(hex(key));
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", running->now.version.value},
                                                         {"quorum", admins.quorum},
                                                         {"keys", std::move(keys)},
                                                         {"movers", std::move(movers)}})
                                .c_str());
    return exit_done;
}

// --- features

const char* meaning(std::uint64_t level) {
    switch (level) {
        case consensus::features_first:
            return "what every program knows";
        case consensus::features_skip:
            return "entries of who is no client are skipped at once, without a view change";
        default:
            return "?";
    }
}

std::string name_of(const client::Config& config, const consensus::Configuration& now,
                    const consensus::Endpoint& member) {
    consensus::Membership m = client::membership_of(config);
    consensus::follow(m, now);
    auto host = m.host_of(member);
    if (host && host->value < config.hosts.size())
        return config.hosts[host->value].name + " (" + consensus::to_string(member) + ")";
    if (host)
        if (auto joined = now.hosts.find(*host); joined != now.hosts.end())
            return joined->second.name + " (" + consensus::to_string(member) + ")";
    return consensus::to_string(member);
}

// A member that does not know the level would stop.
Result<void> all_know(const Options& options, Running& running, std::uint64_t level) {
    const Duration patience = std::min(options.patience(), Duration(std::chrono::seconds(5)));
    auto known = running.admin->features(patience);
    for (const consensus::Endpoint& member : running.admin->members()) {
        auto said = known.find(member);
        const std::string who = name_of(running.config, running.now, member);
        if (said == known.end()) {
            if (options.allow_absent) continue;
            return error(Errc::refused,
                         who +
                             " does not say what its program knows: it is away, or too old; "
                             "--allow-absent leaves it to you");
        }
        if (said->second < level)
            return error(Errc::refused, who + " knows levels up to " +
                                            std::to_string(said->second) +
                                            " only: upgrade it first");
    }
    return {};
}

int enable(const Options& options) {
    auto running = look(options);
    if (!running) return say_failed(running.error());
    if (options.level > consensus::features_max)
        return say_failed(error(Errc::refused, "this bftctl knows levels up to " +
                                                   std::to_string(consensus::features_max)));
    consensus::ConfigChange change;
    change.version = running->now.version.next();
    change.parameters.push_back({consensus::Parameter::features, options.level});
    if (auto next = consensus::apply(running->now, change); !next) return say_failed(next.error());
    if (auto known = all_know(options, *running, options.level); !known)
        return say_failed(known.error());
    return bring(options, *running, change,
                 {"feature level " + std::to_string(running->now.features()) + " -> " +
                  std::to_string(options.level) + ": " + meaning(options.level)},
                 {{"from", running->now.features()}, {"to", options.level}});
}

int list_features(const Options& options) {
    auto running = look(options);
    if (!running) return say_failed(running.error());
    const Duration patience = std::min(options.patience(), Duration(std::chrono::seconds(5)));
    auto known = running->admin->features(patience);
    json::array levels, members;
    if (!options.json()) std::printf("%-6s %-8s %s\n", "LEVEL", "", "MEANING");
    for (std::uint64_t level = consensus::features_first; level <= consensus::features_max;
         ++level) {
        const bool on = level <= running->now.features();
        if (!options.json())
            std::printf("%-6llu %-8s %s\n", static_cast<unsigned long long>(level),
                        on ? "on" : "off", meaning(level));
        levels.emplace_back(json::object{{"level", level}, {"on", on}});
    }
    for (const consensus::Endpoint& member : running->admin->members()) {
        auto said = known.find(member);
        const std::string who = name_of(running->config, running->now, member);
        const std::uint64_t level = said == known.end() ? 0 : said->second;
        if (!options.json() && level < consensus::features_max)
            std::printf("%s: %s\n", who.c_str(),
                        level == 0 ? "does not say what it knows"
                                   : ("knows levels up to " + std::to_string(level)).c_str());
        members.emplace_back(json::object{{"member", who}, {"knows", level}});
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", running->now.version.value},
                                                         {"level", running->now.features()},
                                                         {"levels", std::move(levels)},
                                                         {"members", std::move(members)}})
                                .c_str());
    return exit_done;
}

}  // namespace

Command add_key(CLI::App& app) {
    CLI::App* command = app.add_subcommand("key", "Who may change the configuration: admin keys");
    command->require_subcommand(1);
    command->footer(
        "The old keys sign which ones come; from the barrier on the new ones count, all of them at "
        "once. A\n"
        "host's keys and counters change with the member: bftctl member replace. Exit status: 0 in "
        "force; 1\n"
        "refused, nothing changed; 2 wrong command line; 4 not known in time.\n"
        "Example:\n"
        "  bftctl key rotate --admin new/ann.key --admin new/bob.key --quorum 2 \\\n"
        "      --client cluster/clients/admin --key cluster/admins/admin.key");
    auto options = std::make_shared<Options>();
    CLI::App* lists = command->add_subcommand("list", "The admin keys in force");
    add_looking(*lists, *options);
    CLI::App* rotates = command->add_subcommand("rotate", "Other admin keys in the place of all");
    add_changing(*rotates, *options);
    rotates
        ->add_option("--admin", options->admins,
                     "a new admin's key file; made if there is none; as often as there are admins")
        ->required();
    rotates->add_option("--quorum", options->quorum, "how many must sign; default: a majority");
    rotates->add_option("--mover", options->movers, "as --admin, of controllers; none are kept");
    CLI::App* grants = command->add_subcommand(
        "grant",
        "A further key, a controller's: it moves partitions, adds groups on the cluster file's "
        "spare counters, removes empty ones, and does nothing else");
    add_changing(*grants, *options);
    grants->add_option("MOVER", options->movers, "its key file; made if there is none")
        ->required()
        ->expected(1);
    grants->footer(
        "It may do so by itself, as often as it likes: what it cannot do is to touch members, "
        "keys, "
        "clients or\nparameters. It is taken back by `bftctl key rotate`. Exit status: 0 in force; "
        "1 refused, nothing changed;\n2 wrong command line; 4 not known in time.\nExample:\n"
        "  bftctl key grant controller.key --client cluster/clients/admin --key "
        "cluster/admins/admin.key");
    return [options, lists, grants] {
        if (lists->parsed()) return list_keys(*options);
        return grants->parsed() ? grant(*options) : rotate(*options);
    };
}

Command add_feature(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("feature", "Rules that a newer version brings, switched on at one slot");
    command->require_subcommand(1);
    command->footer(
        "Levels only rise; a member whose program does not know the level in force stops. Exit "
        "status: 0 in\n"
        "force; 1 refused, nothing changed; 2 wrong command line; 4 not known in time.\n"
        "Example:\n"
        "  bftctl feature enable 2 --client cluster/clients/admin --key cluster/admins/admin.key");
    auto options = std::make_shared<Options>();
    CLI::App* lists = command->add_subcommand("list", "Levels, and what each member knows");
    add_looking(*lists, *options);
    CLI::App* enables = command->add_subcommand("enable", "Raises the level");
    add_changing(*enables, *options);
    enables->add_option("LEVEL", options->level, "the level")
        ->required()
        ->check(CLI::PositiveNumber);
    enables->add_flag("--allow-absent", options->allow_absent,
                      "also while a member does not say what it knows");
    return
        [options, lists] { return lists->parsed() ? list_features(*options) : enable(*options); };
}

}  // namespace bft::node
