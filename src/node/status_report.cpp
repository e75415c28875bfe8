#include "node/status_report.hpp"

#include "base/log_level.hpp"
#include "consensus/reign.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <set>
#include <sys/resource.h>
#include <unistd.h>

namespace bft::node {

namespace json = boost::json;

namespace {

using Counts = std::map<std::string, std::uint64_t>;

json::object to_json(const Counts& counts) {
    json::object object;
    for (const auto& [name, count] : counts) object[name] = count;
    return object;
}

std::string peer_name(const StatusSource& source, ByteView key) {
    const host::Directory& directory = source.exchange->directory();
    auto peer = directory.peers().find(key);
    if (!peer) return "?";
    if (peer->host) return directory.name_of(*peer->host);
    return "client " + std::to_string(peer->client.value);
}

void add_process(json::object& status, const StatusSource& source) {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto microseconds = [](const timeval& t) { return t.tv_sec * 1000000 + t.tv_usec; };
    json::array role_names;
    for (Role role : source.options.roles) role_names.emplace_back(to_string(role));
    status["host"] = source.config.host;
    status["version"] = BFT_VERSION;
    status["log_level"] = log::level();
    status["cluster"] = hex(source.membership.cluster);
    status["software_usig"] = source.options.insecure_software_usig;
    status["misbehaviour"] = source.options.misbehaviour.text();
    status["roles"] = std::move(role_names);
    status["pid"] = static_cast<std::int64_t>(::getpid());
    status["uptime_s"] = std::chrono::duration_cast<std::chrono::seconds>(source.uptime).count();
    status["clock_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
    status["cpu_us"] = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    status["memory_max_kb"] = usage.ru_maxrss;
}

// Linked to what serving takes: a primary-capable host, f+1 replicas of each group, f_D+1 voters.
void add_missing_links(std::vector<std::string>& all, const StatusSource& source,
                       const net::LinksReport& links) {
    std::set<HostId> up{source.self};
    for (const net::LinkReport& link : links.links) {
        if (!link.dialled || !link.up) continue;
        if (auto peer = source.exchange->directory().peers().find(link.key); peer && peer->host)
            up.insert(*peer->host);
    }
    const consensus::Membership& members = source.membership;
    auto count_active = [&](const consensus::Group& group) {
        std::ptrdiff_t active = 0;
        for (std::uint32_t p = 0; p < group.members.size(); ++p)
            if (group.active(Position(p)) && up.contains(group.members[p].host)) ++active;
        return active;
    };
    for (const consensus::Group& group : members.groups)
        if (!group.removed() && count_active(group) < static_cast<std::ptrdiff_t>(members.quorum()))
            all.push_back("fewer than f+1 replicas of group " + std::to_string(group.id.value) +
                          " are linked");
    auto voters = std::count_if(members.voters.begin(), members.voters.end(),
                                [&](HostId host) { return up.contains(host); });
    const std::vector<PrimaryId> reign = consensus::reign_of(members);
    if (std::none_of(reign.begin(), reign.end(), [&](PrimaryId each) {
            return up.contains(members.primaries[each.value].host);
        }))
        all.emplace_back("no primary-capable host is linked");
    if (!members.orders_only() && voters < static_cast<std::ptrdiff_t>(members.database_quorum()))
        all.emplace_back("fewer than f_D+1 databases' voters are linked");
}

void add_links(json::object& status, const StatusSource& source, const net::LinksReport& report) {
    json::object links, details;
    const host::Directory& directory = source.exchange->directory();
    for (const auto& [host, entry] : directory.hosts())
        if (host != source.self && directory.takes_part(host)) links[entry.name] = false;
    std::uint64_t clients = 0;
    for (const net::LinkReport& link : report.links) {
        auto peer = source.exchange->directory().peers().find(link.key);
        if (!peer) continue;
        if (!link.dialled) {
            if (!peer->host) ++clients;
            continue;
        }
        std::string name = peer_name(source, link.key);
        links[name] = link.up;
        details[name] = json::object{
            {"up", link.up},
            {"address", link.address},
            {"connects", link.connects},
            {"frames_out", link.frames_out},
            {"bytes_out", link.bytes_out},
            {"dropped", link.dropped},
            {"queued_bytes", link.queued_bytes},
            {"protocol", link.protocol},
            {"rtt_us", link.rtt_us},
            {"last_error", link.last_error},
        };
    }
    status["links"] = std::move(links);
    status["link_details"] = std::move(details);
    status["clients"] = clients;
}

// What no correct host ever sends counts as disagreement. A misdirected message does not: it may
// come from a host that has another configuration.
void add_drops(json::object& status, const StatusSource& source,
               const host::Exchange::Report& report, Counts& disagreements) {
    Counts drops;
    for (std::size_t cause = 0; cause < host::drop_kinds; ++cause)
        drops[to_string(static_cast<host::Drop>(cause))] = 0;
    json::object by_peer;
    for (const auto& [key, counts] : report.drops) {
        auto peer = source.exchange->directory().peers().find(key);
        Counts by_cause;
        for (std::size_t cause = 0; cause < host::drop_kinds; ++cause) {
            auto drop = static_cast<host::Drop>(cause);
            if (counts[cause] == 0) continue;
            by_cause[to_string(drop)] = counts[cause];
            drops[to_string(drop)] += counts[cause];
            if (peer && peer->host && drop != host::Drop::misdirected)
                disagreements[peer_name(source, key)] += counts[cause];
        }
        if (!by_cause.empty()) by_peer[peer_name(source, key)] = to_json(by_cause);
    }
    status["drops"] = to_json(drops);
    status["drops_by_peer"] = std::move(by_peer);
}

void add_network(json::object& status, const StatusSource& source,
                 const host::Exchange::Report& report) {
    add_links(status, source, report.links);
    Counts disagreements;
    add_drops(status, source, report, disagreements);
    std::map<HostId, std::uint64_t> by_host;
    for (const auto* replica : source.replicas) replica->add_disagreements(by_host);
    if (source.voter != nullptr) source.voter->add_disagreements(by_host);
    for (const auto& [host, count] : by_host)
        disagreements[source.exchange->directory().name_of(host)] += count;
    status["disagreements"] = to_json(disagreements);
    status["network"] = json::object{
        {"received", report.received},
        {"rejected", report.rejected},
        {"unsent", report.unsent},
        {"accepted", report.links.accepted},
        {"refused_key", report.links.refused_key},
        {"refused_full", report.links.refused_full},
        {"timeouts", report.links.timeouts},
        {"oversized", report.links.oversized},
    };
}

void add_roles(json::object& status, const StatusSource& source) {
    if (source.primary != nullptr) status["primary"] = source.primary->report();
    json::array replicas;
    for (const auto* replica : source.replicas) replicas.push_back(replica->report());
    if (!replicas.empty()) status["replicas"] = std::move(replicas);
    if (source.voter != nullptr) status["voter"] = source.voter->report();
}

void add_inside(json::object& status, const StatusSource& source) {
    json::object events;
    for (std::size_t kind = 0; kind < roles::event_kinds; ++kind)
        events[consensus::to_string(static_cast<consensus::Event::Kind>(kind))] =
            source.events->counts()[kind];
    status["events"] = std::move(events);
    json::object suspicions;
    for (const auto& [reason, times] : source.events->suspicions()) suspicions[reason] = times;
    status["suspicions"] = std::move(suspicions);
    host::DurableLog::Report log;
    for (const auto* one : source.logs) {
        auto report = one->report();
        log.records += report.records;
        log.writes += report.writes;
        log.bytes += report.bytes;
        log.bytes_on_disk += report.bytes_on_disk;
    }
    status["log"] = json::object{{"records", log.records},
                                 {"writes", log.writes},
                                 {"bytes", log.bytes},
                                 {"bytes_on_disk", log.bytes_on_disk}};
    auto checked = source.signatures->report();
    status["signatures"] = json::object{{"certificates", checked.certificates},
                                        {"signatures", checked.signatures},
                                        {"cached", checked.hits}};
}

void add_readiness(json::object& status, const StatusSource& source,
                   const net::LinksReport& links) {
    std::vector<std::string> why;
    if (!source.started) why.emplace_back("starting");
    if (!source.exchange->directory().takes_part(source.self))
        why.emplace_back("another host has its seats: it was replaced");
    add_missing_links(why, source, links);
    for (std::string& reason : source.readiness->reasons(status, source.now))
        why.push_back(std::move(reason));
    status["ready"] = why.empty();
    status["draining"] = source.readiness->draining();
    json::array reasons;
    for (const std::string& reason : why) reasons.emplace_back(reason);
    status["not_ready"] = std::move(reasons);
}

void add_certificates(json::object& status, const StatusSource& source) {
    if (source.certificates == nullptr) return;
    const metrics::Latency& latency = *source.certificates;
    status["certificates"] = json::object{{"count", latency.count()},
                                          {"sum_us", latency.sum_us()},
                                          {"p50_us", latency.bound_of(500)},
                                          {"p99_us", latency.bound_of(990)}};
}

// Counts by bucket, not added up; a stage that this process does not have is not there.
void add_stages(json::object& status, const host::Stages& stages) {
    json::array bounds;
    for (std::uint64_t bound : metrics::Latency::bounds_us) bounds.emplace_back(bound);
    json::object all;
    for (std::size_t i = 0; i < host::stage_count; ++i) {
        auto stage = static_cast<host::Stage>(i);
        const metrics::Latency& latency = stages.of(stage);
        if (latency.count() == 0) continue;
        json::array counts;
        for (std::uint64_t count : latency.counts()) counts.emplace_back(count);
        all[host::to_string(stage)] = json::object{{"count", latency.count()},
                                                   {"sum_us", latency.sum_us()},
                                                   {"p50_us", latency.bound_of(500)},
                                                   {"p99_us", latency.bound_of(990)},
                                                   {"counts", std::move(counts)}};
    }
    status["stage_bounds_us"] = std::move(bounds);
    status["stages"] = std::move(all);
}

}  // namespace

json::object describe(const StatusSource& source) {
    json::object status;
    add_process(status, source);
    const host::Exchange::Report report = source.exchange->report();
    add_network(status, source, report);
    add_roles(status, source);
    add_readiness(status, source, report.links);
    add_certificates(status, source);
    add_inside(status, source);
    add_stages(status, *source.stages);
    return status;
}

std::string summary(const json::object& status) {
    const auto number = [](const json::value& of, const char* name) {
        return std::to_string(of.at(name).to_number<std::uint64_t>());
    };
    std::string line = "ready";
    if (!status.at("ready").as_bool())
        line = "not ready: " + std::string(status.at("not_ready").at(0).as_string());
    if (const json::value* primary = status.if_contains("primary"))
        line += std::string(primary->at("leading").as_bool() ? "; leads view "
                                                             : "; stands by in view ") +
                number(*primary, "view") + ", slot " + number(*primary, "tip");
    if (const json::value* replicas = status.if_contains("replicas"))
        for (const json::value& replica : replicas->as_array())
            line += "; group " + number(replica, "group") + " executed to " +
                    number(replica, "executed");
    if (const json::value* voter = status.if_contains("voter"))
        line += voter->at("quarantined").as_bool() ? "; database out of service"
                                                   : "; database in service";
    return line;
}

}  // namespace bft::node
