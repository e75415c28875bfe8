#include "scenario.hpp"

#include "consensus/signed_bytes.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>

namespace bft::scenario {

using namespace consensus;

namespace {

[[noreturn]] void refuse(const std::string& why) {
    throw std::runtime_error(why);
}

const char* kind_of(const Payload& payload) {
    static constexpr const char* names[] = {
        "REQUEST",     "PREPARE",   "COMMIT",     "STATUS",       "FETCH-CERT",   "CERTIFICATES",
        "FETCH-BODY",  "BODIES",    "COMMIT-DB",  "DB-REPLY",     "VOTER-STATUS", "FETCH-DBITEM",
        "REPLY",       "REJECTED",  "CHECKPOINT", "VOUCH",        "REQ-VC",       "TC",
        "VIEW-CHANGE", "NEW-VIEW",  "NV-ACCEPT",  "VIEW-CERT",    "RESIGN",       "FETCH-HDR",
        "HEADERS",     "FETCH-NV",  "FETCH-VC",   "VIEW-CHANGES", "VOID?",        "VOID-PROMISE",
        "VOID-CERT",   "DB-CKPT",   "DB-CUT",     "FETCH-LEAVES", "DB-LEAVES",    "FETCH-CHUNK",
        "DB-CHUNK",    "DB-GONE",   "GONE",       "FETCH-STATE",  "STATE",        "EQUIV-PROOF",
        "REPLIES",     "FETCH-CFG", "BARRIER"};
    static_assert(std::size(names) == std::variant_size_v<Payload>);
    return names[payload.index()];
}

/// A star at the end of a name stands for anything.
bool fits(const std::string& wanted, const std::string& is) {
    if (!wanted.ends_with('*')) return wanted == is;
    return is.starts_with(wanted.substr(0, wanted.size() - 1));
}

Duration duration_of(const std::string& text) {
    std::size_t used = 0;
    std::uint64_t value = std::stoull(text, &used);
    std::string unit = text.substr(used);
    if (unit == "ms") return std::chrono::milliseconds(value);
    if (unit == "s") return std::chrono::seconds(value);
    refuse("a duration is like 100ms or 2s, not " + text);
}

}  // namespace

// --- words ---

std::uint64_t Scenario::Words::number(const std::string& name, std::uint64_t otherwise) const {
    auto found = named.find(name);
    return found == named.end() ? otherwise : std::stoull(found->second);
}

std::vector<std::string> Scenario::Words::list(const std::string& name) const {
    std::vector<std::string> parts;
    auto found = named.find(name);
    if (found == named.end()) return parts;
    std::istringstream in(found->second);
    for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
    return parts;
}

std::vector<std::string> Scenario::execute(const std::string& line) {
    std::istringstream in(line);
    Words words;
    for (std::string word; in >> word;) {
        auto equals = word.find('=');
        if (equals == std::string::npos)
            words.plain.push_back(word);
        else
            words.named[word.substr(0, equals)] = word.substr(equals + 1);
    }
    if (words.plain.empty()) refuse("no command");
    const std::string& command = words.plain[0];
    auto argument = [&](std::size_t i) -> const std::string& {
        if (i >= words.plain.size()) refuse(command + " needs more words");
        return words.plain[i];
    };
    happened_.clear();
    quiet_ = words.plain.back() == "quiet";
    if (command == "cluster") {
        make_cluster(words);
    } else if (command == "request") {
        request(words);
    } else if (command == "run") {
        argument(1);
        run(words);
    } else if (command == "drop") {
        if (argument(3) != "->") refuse("drop MESSAGE FROM -> TO");
        rules_.push_back({argument(1), argument(2), argument(4)});
    } else if (command == "allow") {
        rules_.clear();
        side_.clear();
    } else if (command == "crash") {
        if (auto* node = engine(argument(1))) node->crash();
        if (auto* node = voter(argument(1))) node->crash();
    } else if (command == "boot") {
        if (auto* node = engine(argument(1))) node->boot();
        if (auto* node = voter(argument(1))) node->boot();
    } else if (command == "pause") {
        if (auto* node = engine(argument(1))) node->pause();
    } else if (command == "resume") {
        if (auto* node = engine(argument(1))) node->resume();
    } else if (command == "resign") {
        if (auto* node = engine(argument(1))) node->resign();
    } else if (command == "lose_disk") {
        if (auto* node = engine(argument(1))) node->lose_disk();
    } else if (command == "power_cut") {
        power_cut();
    } else if (command == "tpm_away") {
        Duration wait = duration_of(argument(2));
        cluster().tpm_of(endpoint(argument(1))).away_until(cluster().time.now() + wait);
    } else if (command == "clone") {
        UsigId usig = *cluster().membership.usig_of(endpoint(argument(1)));
        cluster().checker.expect_two_certificates(usig);
        cluster().tpm_of(endpoint(argument(1))).roll_back_after_next(usig);
    } else if (command == "split") {
        split(words);
    } else if (command == "prepare") {
        prepare(words);
    } else if (command == "commit") {
        commit(words);
    } else if (command == "fetch_body") {
        if (argument(3) != "->") refuse("fetch_body NAME FROM -> TO");
        auto body = bodies_.find(argument(1));
        if (body == bodies_.end()) refuse("no request was sent that is called " + argument(1));
        asked_ = {endpoint(argument(2))};
        cluster().network.send(endpoint(argument(2)),
                               {{endpoint(argument(4))}, FetchBodies{{body->second->rd}}});
    } else if (command == "report") {
        report(words);
    } else {
        refuse("there is no command " + command);
    }
    return lines();
}

void Scenario::note(const Endpoint& node, const std::string& what) {
    static const std::set<std::string> routine = {"slot_prepared", "slot_appended", "committed",
                                                  "group_committed", "checkpoint_stable"};
    if (quiet_ && routine.contains(what.substr(0, what.find(' ')))) return;
    auto& lines = happened_[node];
    auto same = std::find_if(lines.begin(), lines.end(),
                             [&](const Line& line) { return line.what == what; });
    if (same == lines.end())
        lines.push_back({what, 1});
    else
        ++same->times;
}

std::vector<std::string> Scenario::lines() const {
    std::vector<std::string> text;
    auto says = [&](const Endpoint& node, const Line& line) {
        auto found = happened_.find(node);
        return found != happened_.end() &&
               std::any_of(found->second.begin(), found->second.end(), [&](const Line& other) {
                   return other.what == line.what && other.times == line.times;
               });
    };
    for (const auto& [node, lines] : happened_) {
        for (const Line& line : lines) {
            std::string who = to_string(node);
            bool many = node.role == Endpoint::Role::replica || node.role == Endpoint::Role::voter;
            for (std::uint32_t other = 0; other < plan_.replicas(); ++other) {
                Endpoint peer = node;
                peer.index = other;
                many = many && says(peer, line);
            }
            if (many && node.index != 0) continue;  // said with the first one
            if (many) who = who.substr(0, who.rfind('.')) + ".*";
            std::string times = line.times == 1 ? "" : "  x" + std::to_string(line.times);
            text.push_back(who + " " + line.what + times);
        }
    }
    return text;
}

std::vector<std::string> Scenario::violations() const {
    std::vector<std::string> lines;
    if (!cluster_) return lines;
    for (const auto& violation : cluster_->checker.violations())
        lines.push_back(violation.property + ": " + violation.text);
    return lines;
}

sim::Cluster& Scenario::cluster() {
    if (!cluster_) refuse("a scenario begins with: cluster");
    return *cluster_;
}

Endpoint Scenario::endpoint(const std::string& name) const {
    for (const auto& [node, at] : cluster_->nodes)
        if (to_string(node) == name) return node;
    if (name == "primary.0") return Endpoint::primary(PrimaryId(0));
    refuse("there is no node " + name);
}

sim::EngineNode* Scenario::engine(const std::string& name) {
    auto found = engines_.find(name);
    return found == engines_.end() ? nullptr : found->second.get();
}

sim::VoterNode* Scenario::voter(const std::string& name) {
    auto found = voters_.find(name);
    return found == voters_.end() ? nullptr : found->second.get();
}

// --- commands ---

void Scenario::make_cluster(const Words& words) {
    if (cluster_) refuse("one cluster per scenario");
    auto small = [&](const char* name, std::uint64_t otherwise) {
        return static_cast<std::uint32_t>(words.number(name, otherwise));
    };
    plan_.seed = 1;
    plan_.f = small("f", 1);
    plan_.groups = small("groups", 1);
    plan_.partitions = small("partitions", 2);
    plan_.workers = small("workers", 1);
    plan_.window = words.number("window", plan_.window);
    plan_.tpm_latency = std::chrono::milliseconds(words.number("tpm_ms", 5));
    plan_.clients = 1;
    plan_.primaries = small("primaries", 2);
    plan_.checkpoint_every =
        words.number("checkpoint", std::max<std::uint64_t>(1, plan_.window / 8));
    plan_.retain = words.number("retain", 0);
    bool scripted = words.named.contains("primary") && words.named.at("primary") == "scripted";
    for (const std::string& liar : words.list("byzantine")) {
        if (liar.rfind("replica.", 0) != 0) refuse("byzantine=replica.G.J,...");
        auto dot = liar.find('.', 8);
        plan_.byzantine.insert(Endpoint::replica(
            GroupId(static_cast<std::uint32_t>(std::stoul(liar.substr(8)))),
            Position(static_cast<std::uint32_t>(std::stoul(liar.substr(dot + 1))))));
    }
    bool lying = words.named.contains("leader");
    if (lying) set_leader_lie(words.named.at("leader"), words.number("lie_ms", 0));
    if (scripted || lying) plan_.byzantine.insert(Endpoint::primary(PrimaryId(0)));
    cluster_ = std::make_unique<sim::Cluster>(plan_, false);
    cluster_->listener = [this](const Endpoint& node, const std::string& what) {
        note(node, what);
    };
    cluster_->network.on_send([this](const Endpoint& from, const Endpoint& to,
                                     const Payload& payload) {
        if (const auto* found = std::get_if<Bodies>(&payload); found && asked_.contains(to))
            note(from,
                 "sends " + std::to_string(found->bodies.size()) + " bodies to " + to_string(to));
        if (const auto* body = std::get_if<Body>(&payload))
            bodies_[std::string(as_text((*body)->op))] = *body;
        return allowed(from, to, payload);
    });
    digests_[Slot(0)] = genesis_header_digest(cluster_->membership.cluster);

    std::vector<Endpoint> engines = cluster_->membership.all_replicas();
    for (const Endpoint& primary : cluster_->membership.all_primaries())
        if (!scripted || primary.index > 0) engines.push_back(primary);
    for (const Endpoint& self : engines)
        engines_[to_string(self)] = std::make_unique<sim::EngineNode>(*cluster_, self);
    if (lying) {
        sim::EngineNode& leader = *engines_.at("primary.0");
        leader.set_liar(std::make_unique<sim::LyingLeader>(*cluster_, leader, plan_.leader_lies,
                                                           cluster_->split()));
    }
    for (const Endpoint& self : cluster_->membership.all_voters())
        voters_[to_string(self)] =
            std::make_unique<sim::VoterNode>(*cluster_, VoterId(self.index), cluster_->split());
    client_ = std::make_unique<sim::ClientNode>(*cluster_, ClientId(0), cluster_->split());
    client_->stop();
    for (auto& [name, node] : engines_) node->boot();
    for (auto& [name, node] : voters_) node->boot();
    happened_.clear();
}

void Scenario::set_leader_lie(const std::string& lie, std::uint64_t milliseconds) {
    Duration time = std::chrono::milliseconds(milliseconds);
    if (lie == "slow")
        plan_.leader_lies.slow = time;
    else if (lie == "rare")
        plan_.leader_lies.rare = time;
    else if (lie == "ahead")
        plan_.leader_lies.ahead_ms = milliseconds;
    else
        refuse("leader=slow|rare|ahead");
}

void Scenario::request(const Words& words) {
    if (words.plain.size() < 2) refuse("request NAME home=P");
    cluster();
    PartitionId home(static_cast<std::uint32_t>(words.number("home", 1)));
    std::vector<PartitionId> parts{home};
    for (const std::string& part : words.list("parts"))
        parts.emplace_back(static_cast<std::uint32_t>(std::stoul(part)));
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    client_->submit(home, parts, to_bytes(as_bytes(words.plain[1])));
}

void Scenario::run(const Words& words) {
    TimePoint until = cluster().time.now() + duration_of(words.plain[1]);
    while (cluster().time.step(until)) {
    }
}

bool Scenario::allowed(const Endpoint& from, const Endpoint& to, const Payload& payload) const {
    if (side_.contains(from) != side_.contains(to)) return false;
    return std::none_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
        return fits(rule.message, kind_of(payload)) && fits(rule.from, to_string(from)) &&
               fits(rule.to, to_string(to));
    });
}

void Scenario::power_cut() {
    cluster();
    for (auto& [name, node] : engines_) node->crash();
    for (auto& [name, node] : voters_) node->crash();
    for (auto& tpm : cluster_->tpms) tpm->machine_crashed();
}

void Scenario::split(const Words& words) {
    cluster();
    side_.clear();
    for (std::size_t i = 1; i < words.plain.size(); ++i)
        for (const auto& [node, at] : cluster_->nodes)
            if (fits(words.plain[i], to_string(node))) side_.insert(node);
}

void Scenario::prepare(const Words& words) {
    Slot slot(words.number("slot", tip_.value + 1));
    auto previous = digests_.find(Slot(slot.value - 1));
    if (previous == digests_.end()) refuse("the slot before was not prepared");
    Header header{slot, previous->second, words.number("ts", ts_ms_ + 1), {}};
    for (const std::string& name : words.list("entries")) {
        auto body = bodies_.find(name);
        if (body == bodies_.end()) refuse("no request was sent that is called " + name);
        header.entries.push_back(
            {body->second->id, body->second->parts, EntryKind::transaction, body->second->rd});
        header.entries.back().rid.cseq = body->second->id.cseq + words.number("cseq_off", 0);
    }
    Prepare prepare{
        View{}, slot, header_digest(header), {}, std::make_shared<const Header>(header)};
    std::vector<Endpoint> to;
    for (const std::string& name : words.list("to")) to.push_back(endpoint(name));
    if (to.empty()) to = cluster().membership.all_replicas();
    Endpoint self = Endpoint::primary(PrimaryId(0));
    UsigId usig = *cluster().membership.usig_of(self);
    for (std::uint64_t skipped = 0; skipped < words.number("skip", 0); ++skipped)
        cluster().tpm_of(self).create(usig, Digest{}, [](const Ui&) {});
    tip_ = slot;
    ts_ms_ = header.ts_ms;
    digests_[slot] = prepare.hd;
    cluster().tpm_of(self).create(
        usig, prepare_digest(cluster().membership.cluster, View{}, slot, prepare.hd),
        [this, self, prepare, to](Ui ui) mutable {
            prepare.ui = std::move(ui);
            prepares_[prepare.slot] = prepare;
            cluster_->network.send(self, {to, prepare});
        });
}

void Scenario::commit(const Words& words) {
    if (words.plain.size() < 2) refuse("commit NODE slot=N");
    Endpoint self = endpoint(words.plain[1]);
    auto prepared = prepares_.find(Slot(words.number("slot", 0)));
    if (prepared == prepares_.end()) refuse("the scripted primary has no such slot");
    Commit commit;
    commit.group = self.group;
    commit.position = Position(self.index);
    commit.to = prepared->first;
    commit.hd = prepared->second.hd;
    commit.prepare = prepared->second;
    commit.prepare.header = nullptr;
    cluster().checker.certifying(commit);
    cluster().tpm_of(self).create(
        *cluster().membership.usig_of(self), commit_digest(cluster().membership.cluster, commit),
        [this, self, commit](Ui ui) mutable {
            commit.ui = std::move(ui);
            cluster_->network.send(
                self, {cluster_->membership.replicas(self.group, Position(self.index)), commit});
        });
}

void Scenario::report(const Words& words) {
    if (words.plain.size() < 2) refuse("report NODE");
    cluster();
    const std::string& name = words.plain[1];
    std::string text;
    auto* node = engine(name);
    auto* database = voter(name);
    if (node != nullptr && !node->up()) {
        text += node->down_for_good() ? "refused to start" : "down";
    } else if (node != nullptr && node->replica() != nullptr) {
        auto report = node->replica()->agreement().report();
        if (report.view.value > 0 || !report.active)
            text +=
                "view=" + std::to_string(report.view.value) + (report.active ? " " : " inactive ");
        text += "tip=" + std::to_string(report.tip.value) +
                " committed=" + std::to_string(report.committed.value) +
                " delivered=" + std::to_string(report.delivered.value) +
                " executed=" + std::to_string(node->replica()->executor().executed().value) +
                " pending=" + std::to_string(report.pending) +
                " unanswered=" + std::to_string(node->replica()->executor().report().waiting_slots);
        for (const Endpoint& dead : report.dead) text += " dead=" + to_string(dead);
    } else if (node != nullptr) {
        auto report = node->primary()->report();
        static constexpr const char* phases[] = {"idle", "collecting", "active"};
        if (report.view.value > 0)
            text += "view=" + std::to_string(report.view.value) + " " +
                    phases[static_cast<int>(report.phase)] + " ";
        text += "tip=" + std::to_string(report.tip.value);
    } else if (database != nullptr && database->up()) {
        auto report = database->voter()->report();
        text += "executed=" + std::to_string(report.executed) +
                " waiting=" + std::to_string(report.waiting);
        for (const auto& [partition, next] : report.next)
            if (partition.value != 0)
                text +=
                    " next[" + std::to_string(partition.value) + "]=" + std::to_string(next.value);
        for (const auto& [peer, times] : report.disagreements)
            text += " disagreed=" + to_string(peer);
    } else {
        text += "down";
    }
    note(endpoint(name), text);
}

}  // namespace bft::scenario
