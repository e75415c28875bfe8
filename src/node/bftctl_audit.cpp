// bftctl audit: compares the databases of all hosts at one point of the order, now.
#include "node/bftctl.hpp"
#include "node/bftctl_targets.hpp"
#include "node/status_document.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <thread>

namespace bft::node {
namespace {

using Clock = std::chrono::steady_clock;

// So many slots ahead of the newest one: the wish has to be everywhere before the order is there.
constexpr std::uint64_t slots_ahead = 32;

struct Options {
    std::vector<std::string> places;
    std::string host;
    std::string resync;
    double timeout_s = 300;
};

struct Voter {
    const Target* target = nullptr;
    std::string host;
    std::uint64_t id = 0;
    std::optional<StatusDocument> status;
    std::string why;  ///< no status
};

std::vector<Voter> voters_of(const std::vector<Target>& targets) {
    std::vector<Voter> voters;
    const std::vector<std::string>& names = targets.front().cluster.voters;
    for (std::uint64_t id = 0; id < names.size(); ++id) {
        Voter voter{nullptr, names[id], id, {}, "not on this machine"};
        for (const Target& target : targets)
            if (target.config.host == names[id]) voter.target = &target;
        voters.push_back(std::move(voter));
    }
    return voters;
}

void ask(std::vector<Voter>& voters) {
    for (Voter& voter : voters) {
        voter.status.reset();
        if (voter.target == nullptr) continue;
        auto document = read_status(voter.target->config.status_socket);
        auto status = document ? parse_status(*document) : Result<StatusDocument>(document.error());
        if (!status)
            voter.why = status.error().what;
        else if (!status->voter)
            voter.why = "its daemon has no voter";
        else
            voter.status = std::move(*status);
    }
}

/// The roots at `slot`, whoever reports them: they are signed.
std::map<std::uint64_t, std::string> roots_at(const std::vector<Voter>& voters,
                                              std::uint64_t slot) {
    std::map<std::uint64_t, std::string> roots;
    for (const Voter& voter : voters) {
        if (!voter.status) continue;
        auto found = voter.status->voter->roots.find(slot);
        if (found == voter.status->voter->roots.end()) continue;
        for (const auto& [id, root] : found->second) roots.emplace(id, root);
    }
    return roots;
}

std::optional<std::string> agreed_root(const std::map<std::uint64_t, std::string>& roots,
                                       std::size_t quorum) {
    std::map<std::string, std::size_t> count;
    for (const auto& [id, root] : roots)
        if (++count[root] >= quorum) return root;
    return std::nullopt;
}

std::uint64_t newest_slot(const std::vector<Voter>& voters) {
    std::uint64_t tip = 0;
    for (const Voter& voter : voters)
        if (voter.status)
            for (const auto& replica : voter.status->replicas) tip = std::max(tip, replica.tip);
    return tip;
}

bool tell_all(const std::vector<Voter>& voters, std::uint64_t slot) {
    bool told = false;
    for (const Voter& voter : voters) {
        if (!voter.status) continue;
        auto done = send_control(control_socket_of(voter.target->config.status_socket),
                                 "audit " + std::to_string(slot));
        told = told || done;
        if (!done) std::fprintf(stderr, "%s: %s\n", voter.host.c_str(), done.error().what.c_str());
    }
    return told;
}

/// Who differs has to find out where, which takes it a moment.
bool settled(const std::vector<Voter>& voters, const std::map<std::uint64_t, std::string>& roots,
             const std::string& root) {
    for (const Voter& voter : voters) {
        auto own = roots.find(voter.id);
        if (!voter.status || voter.status->voter->quarantined) {
            if (voter.status && voter.status->voter->guard_state == "naming") return false;
            continue;
        }
        if (own == roots.end()) return false;
        // Perhaps it is repaired already.
        if (own->second != root && voter.status->voter->differences.empty()) return false;
    }
    return true;
}

int print(const Options& options, const std::vector<Voter>& voters,
          const std::map<std::uint64_t, std::string>& roots, const std::string& root,
          std::uint64_t slot) {
    bool well = true;
    std::printf("slot %llu, root %s: what f+1 databases have\n",
                static_cast<unsigned long long>(slot), root.substr(0, 16).c_str());
    for (const Voter& voter : voters) {
        if (!options.host.empty() && voter.host != options.host) continue;
        auto own = roots.find(voter.id);
        bool equal = own != roots.end() && own->second == root;
        bool out = voter.status && voter.status->voter->quarantined;
        well = well && equal && !out;
        const char* verdict = out                  ? "QUARANTINED"
                              : own == roots.end() ? "NO ROOT"
                              : equal              ? "equal"
                                                   : "DIFFERS";
        std::printf("%-12s %-11s %s\n", voter.host.c_str(), verdict,
                    own != roots.end() ? own->second.substr(0, 16).c_str()
                    : !voter.status    ? voter.why.c_str()
                                       : voter.status->voter->reason.c_str());
        if (!voter.status || (!out && (equal || own == roots.end()))) continue;
        std::printf("%-12s   %s: %s\n", "", voter.status->voter->guard_state.c_str(),
                    voter.status->voter->reason.c_str());
        for (const std::string& each : voter.status->voter->differences)
            std::printf("%-12s   %s\n", "", each.c_str());
    }
    return well ? exit_done : exit_disagreement;
}

int audit(const Options& options, std::vector<Voter>& voters, const ClusterFile& cluster) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(
                                             static_cast<std::int64_t>(options.timeout_s * 1000));
    ask(voters);
    const std::uint64_t every = cluster.checkpoint_slots;
    const std::uint64_t slot = ((newest_slot(voters) + slots_ahead) / every + 1) * every;
    if (!tell_all(voters, slot)) {
        std::fprintf(stderr, "bftctl: no voter of this cluster can be asked\n");
        return exit_failed;
    }
    std::fprintf(stderr, "waiting for slot %llu and the scans\n",
                 static_cast<unsigned long long>(slot));
    std::optional<std::string> root;
    std::map<std::uint64_t, std::string> roots;
    // A database that gives no root need not hold up what is known of the others for long.
    std::optional<Clock::time_point> enough;
    while (Clock::now() < deadline && (!enough || Clock::now() < *enough)) {
        ask(voters);
        for (const auto& [id, found] : roots_at(voters, slot)) roots[id] = found;
        root = agreed_root(roots, cluster.f_database + 1);
        if (root && settled(voters, roots, *root)) break;
        if (root && !enough) enough = Clock::now() + std::chrono::seconds(30);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    if (root) return print(options, voters, roots, *root, slot);
    std::fprintf(stderr, "bftctl: no f+1 databases have one root at slot %llu (%zu roots came)\n",
                 static_cast<unsigned long long>(slot), roots.size());
    return exit_failed;
}

int resync(const Options& options, std::vector<Voter>& voters) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(
                                             static_cast<std::int64_t>(options.timeout_s * 1000));
    ask(voters);
    auto voter = std::find_if(voters.begin(), voters.end(),
                              [&](const Voter& v) { return v.host == options.resync; });
    if (voter == voters.end() || !voter->status) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.resync.c_str(),
                     voter == voters.end() ? "no voter has that name" : voter->why.c_str());
        return exit_usage;
    }
    const std::uint64_t before = voter->status->voter->transfers;
    auto done = send_control(control_socket_of(voter->target->config.status_socket), "resync");
    if (!done) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.resync.c_str(), done.error().what.c_str());
        return exit_failed;
    }
    std::string told;
    while (Clock::now() < deadline) {
        ask(voters);
        if (voter->status) {
            const StatusDocument::Voter& now = *voter->status->voter;
            if (now.transfers > before && !now.quarantined) {
                std::printf("%s is rebuilt\n", options.resync.c_str());
                return exit_done;
            }
            std::string state = now.guard_state + " " + std::to_string(now.chunks_loaded) + "/" +
                                std::to_string(now.chunks) + " chunks";
            if (state != told) std::fprintf(stderr, "%s\n", state.c_str());
            told = state;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    std::fprintf(stderr, "bftctl: it is not rebuilt yet; it goes on, see `bftctl status`\n");
    return exit_failed;
}

int run(const Options& options) {
    const Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets || targets->empty()) {
        std::fprintf(stderr, "%s\n", targets ? "bftctl: no host" : targets.error().what.c_str());
        return exit_usage;
    }
    std::vector<Voter> voters = voters_of(*targets);
    for (const std::string& name : {options.host, options.resync}) {
        bool known = name.empty() || std::any_of(voters.begin(), voters.end(),
                                                 [&](const Voter& v) { return v.host == name; });
        if (known) continue;
        std::fprintf(stderr, "bftctl: '%s' is no voter of this cluster\n", name.c_str());
        return exit_usage;
    }
    return options.resync.empty() ? audit(options, voters, targets->front().cluster)
                                  : resync(options, voters);
}

}  // namespace

Command add_audit(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "audit", "Compares the databases of all hosts at one point of the order, now");
    auto options = std::make_shared<Options>();
    command
        ->add_option("PLACE", options->places,
                     "a cluster's folder, a host's folder, or node.toml; on this machine")
        ->required();
    command->add_option("--host", options->host, "say only whether this host's database is right");
    command->add_option("--resync", options->resync,
                        "rebuild this host's database from what f+1 others signed");
    command->add_option("--timeout", options->timeout_s, "give up after so many seconds")
        ->check(CLI::Range(1.0, 86400.0));
    command->footer(
        "All databases are scanned at the same slot while they go on. One that differs from f+1 "
        "others is\n"
        "out of service at once, is named with table and partition, and is rebuilt from them "
        "without help.\n"
        "Exit status: 0 all are equal; 1 no f+1 roots in time; 5 one differs or gave none.\n"
        "Examples:\n"
        "  bftctl audit cluster\n"
        "  bftctl audit --host host2 cluster\n"
        "  bftctl audit --resync host2 cluster");
    return [options] { return run(*options); };
}

}  // namespace bft::node
