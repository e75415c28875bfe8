#include "node/metric_families.hpp"

#include <boost/json/array.hpp>

#include <limits>

namespace bft::node {

namespace json = boost::json;
using metrics::Family;
using metrics::Sample;
using Labels = std::map<std::string, std::string>;

namespace {

double number(const json::value& value) {
    if (value.is_bool()) return value.get_bool() ? 1 : 0;
    if (value.is_uint64()) return static_cast<double>(value.get_uint64());
    if (value.is_int64()) return static_cast<double>(value.get_int64());
    if (value.is_double()) return value.get_double();
    return 0;
}

const json::object* object_at(const json::object& parent, const char* key) {
    const json::value* found = parent.if_contains(key);
    return found != nullptr ? found->if_object() : nullptr;
}

// Seconds, as Prometheus wants them; the JSON has microseconds, and counts that are not added up.
Family stage_family(const json::array& bounds, const json::object& stages) {
    Family family{"bft_stage_seconds",
                  "time of transactions by stage (docs/operations.md)",
                  Family::Type::histogram,
                  {}};
    for (const json::key_value_pair& stage : stages) {
        const json::object& one = stage.value().get_object();
        Sample sample{{{"stage", std::string(stage.key())}}, number(one.at("sum_us")) / 1e6, {}};
        std::uint64_t sum = 0;
        const json::array& counts = one.at("counts").get_array();
        for (std::size_t i = 0; i < counts.size(); ++i) {
            sum += static_cast<std::uint64_t>(number(counts[i]));
            double bound = i < bounds.size() ? number(bounds[i]) / 1e6
                                             : std::numeric_limits<double>::infinity();
            sample.buckets.push_back({bound, sum});
        }
        family.samples.push_back(std::move(sample));
    }
    return family;
}

class Collector {
public:
    /// One sample of the family `name`; families keep the order in which they first came.
    void add(const std::string& name, const char* help, Family::Type type, double value,
             Labels labels = {}) {
        for (Family& family : families_)
            if (family.name == name) {
                family.samples.push_back({std::move(labels), value, {}});
                return;
            }
        families_.push_back({name, help, type, {Sample{std::move(labels), value, {}}}});
    }

    struct Field {
        const char* key;
        const char* help;
        Family::Type type;
    };
    void fields(const std::string& prefix, const json::object& from,
                std::initializer_list<Field> wanted, const Labels& labels = {}) {
        for (const Field& field : wanted) {
            const json::value* value = from.if_contains(field.key);
            if (value == nullptr) continue;
            std::string name = prefix + field.key;
            if (field.type == Family::Type::counter) name += "_total";
            add(name, field.help, field.type, number(*value), labels);
        }
    }
    void each(const std::string& name, const char* help, Family::Type type, const char* label,
              const json::object* from) {
        if (from == nullptr) return;
        for (const json::key_value_pair& pair : *from)
            add(name, help, type, number(pair.value()), {{label, std::string(pair.key())}});
    }

    void add(Family family) { families_.push_back(std::move(family)); }

    std::vector<Family> take() { return std::move(families_); }

private:
    std::vector<Family> families_;
};

}  // namespace

std::vector<Family> metric_families(const json::object& status) {
    constexpr auto gauge = Family::Type::gauge;
    constexpr auto counter = Family::Type::counter;
    Collector all;
    all.fields("bft_", status,
               {{"ready", "1 when this daemon can serve", gauge},
                {"software_usig", "1: INSECURE, certificates come from software, not a TPM", gauge},
                {"uptime_s", "seconds since the process began", gauge},
                {"cpu_us", "CPU microseconds of the process", counter}});
    all.each("bft_link_up", "1 when the link with that host is up", gauge, "host",
             object_at(status, "links"));
    all.each("bft_dropped_total", "messages of peers that were not taken", counter, "cause",
             object_at(status, "drops"));
    // From zero on: the first disagreement of a host is an increase, too.
    json::object disagreements;
    if (const json::object* links = object_at(status, "links"))
        for (const json::key_value_pair& link : *links) disagreements[link.key()] = 0;
    if (const json::object* counted = object_at(status, "disagreements"))
        for (const json::key_value_pair& host : *counted) disagreements[host.key()] = host.value();
    all.each("bft_disagreements_total", "what a host said that differed from what f+1 agreed on",
             counter, "host", &disagreements);
    all.each("bft_events_total", "events of the engines", counter, "kind",
             object_at(status, "events"));
    all.each("bft_suspicions_total", "why replicas here asked for the next view", counter, "reason",
             object_at(status, "suspicions"));
    if (const json::object* primary = object_at(status, "primary"))
        all.fields("bft_primary_", *primary,
                   {{"view", "current view", gauge},
                    {"leading", "1 when it orders requests", gauge},
                    {"tip", "last slot ordered", gauge},
                    {"pooled", "requests that wait for a slot", gauge},
                    {"ordered", "entries ordered", counter}});
    if (const json::value* replicas = status.if_contains("replicas");
        replicas != nullptr && replicas->is_array())
        for (const json::value& replica : replicas->get_array()) {
            const json::object& one = replica.get_object();
            auto group = static_cast<std::uint64_t>(number(one.at("group")));
            all.fields("bft_replica_", one,
                       {{"view", "current view", gauge},
                        {"active", "1 when the view has begun", gauge},
                        {"halted", "1: own state contradicts f+1 others, votes no more", gauge},
                        {"stable", "slot of the stable checkpoint", gauge},
                        {"tip", "last slot of the chain", gauge},
                        {"committed", "slot of the last own COMMIT", gauge},
                        {"delivered", "last slot that the group committed", gauge},
                        {"executed", "every own entry up to this slot has its result", gauge},
                        {"pending", "requests not ordered yet", gauge},
                        {"missing_bodies", "requests being fetched", gauge},
                        {"replied", "replies to clients", counter},
                        {"nondeterministic", "entries on which all databases differ", counter}},
                       {{"group", std::to_string(group)}});
        }
    const json::object* voter = object_at(status, "voter");
    if (voter != nullptr)
        all.fields("bft_voter_", *voter,
                   {{"database_up", "1 when the database answers", gauge},
                    {"waiting", "items known and not executed", gauge},
                    {"in_flight", "items at the database", gauge},
                    {"executed", "items executed", counter},
                    {"aborted", "of them aborted by rule", counter},
                    {"batches", "SQL transactions committed", counter},
                    {"retries", "SQL transactions run again", counter},
                    {"checkpoint", "newest checkpoint slot executed", gauge},
                    {"quarantined", "1: the database is out of service and being rebuilt", gauge}});
    if (const json::object* guard = voter != nullptr ? object_at(*voter, "guard") : nullptr)
        all.fields("bft_database_", *guard,
                   {{"stable", "slot at which f_D+1 databases had one root", gauge},
                    {"scanned", "slot of the newest own root", gauge},
                    {"scans", "scans of the whole database", counter},
                    {"scans_skipped", "cuts that found a snapshot still in use", counter},
                    {"scan_ms", "length of the last scan", gauge},
                    {"scan_cpu_us", "CPU microseconds of this process for scans", counter},
                    {"quarantines", "times that the database was out of service", counter},
                    {"transfers", "times that it was rebuilt from others", counter},
                    {"chunks", "chunks of the transfer under way, or of the last one", gauge},
                    {"chunks_loaded", "of them loaded", gauge}});
    if (const json::object* http = object_at(status, "http")) {
        all.fields("bft_http_", *http,
                   {{"open", "connections", gauge},
                    {"accepted", "connections accepted", counter},
                    {"evicted", "idle connections closed to make room", counter},
                    {"refused", "connections refused for want of room", counter},
                    {"timeouts", "connections that let their time pass", counter},
                    {"malformed", "requests that were no HTTP, or over a bound", counter},
                    {"requests", "requests", counter},
                    {"transactions", "signed requests handed in", counter},
                    {"waiting", "requests that wait for their answers", gauge},
                    {"answers", "signed answers", counter},
                    {"refusals", "signed refusals", counter},
                    {"unanswered", "requests that were given up", counter},
                    {"subscribers", "subscribers of events", gauge},
                    {"subscribers_lost", "subscribers that were too slow", counter},
                    {"signatures", "signatures made for answers and events", counter}});
        all.each("bft_http_responses_total", "responses", counter, "status",
                 object_at(*http, "responses"));
    }
    if (const json::object* log = object_at(status, "log"))
        all.fields("bft_log_", *log,
                   {{"records", "records of the durable log", counter},
                    {"writes", "synced groups of them", counter},
                    {"bytes", "bytes of them", counter},
                    {"bytes_on_disk", "what the log takes now", gauge}});
    const json::value* bounds = status.if_contains("stage_bounds_us");
    if (const json::object* stages = object_at(status, "stages");
        stages != nullptr && bounds != nullptr && bounds->is_array())
        all.add(stage_family(bounds->get_array(), *stages));
    return all.take();
}

}  // namespace bft::node
