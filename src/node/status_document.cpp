#include "node/status_document.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <charconv>
#include <sys/socket.h>

namespace bft::node {
namespace {

namespace json = boost::json;

constexpr std::size_t document_bytes_max = 16 * 1024 * 1024;
constexpr auto patience = std::chrono::seconds(3);

const json::value* find(const json::value& object, std::string_view key) {
    if (!object.is_object()) return nullptr;
    return object.get_object().if_contains({key.data(), key.size()});
}

std::uint64_t number(const json::value& object, std::string_view key) {
    const json::value* found = find(object, key);
    if (found == nullptr) return 0;
    if (found->is_uint64()) return found->get_uint64();
    return found->is_int64() && found->get_int64() > 0
               ? static_cast<std::uint64_t>(found->get_int64())
               : 0;
}

bool boolean(const json::value& object, std::string_view key, bool otherwise) {
    const json::value* found = find(object, key);
    return found != nullptr && found->is_bool() ? found->get_bool() : otherwise;
}

std::string text(const json::value& object, std::string_view key) {
    const json::value* found = find(object, key);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

std::map<std::string, std::uint64_t> counts(const json::value& object, std::string_view key) {
    std::map<std::string, std::uint64_t> all;
    const json::value* found = find(object, key);
    if (found == nullptr || !found->is_object()) return all;
    for (const json::key_value_pair& pair : found->get_object())
        all[std::string(pair.key())] = number(*found, pair.key());
    return all;
}

StatusDocument::Replica read_replica(const json::value& value) {
    StatusDocument::Replica replica;
    replica.group = number(value, "group");
    replica.position = number(value, "position");
    replica.view = number(value, "view");
    replica.tip = number(value, "tip");
    replica.committed = number(value, "committed");
    replica.delivered = number(value, "delivered");
    replica.executed = number(value, "executed");
    replica.pending = number(value, "pending");
    replica.active = boolean(value, "active", true);
    replica.halted = boolean(value, "halted", false);
    replica.config = number(value, "config");
    if (const json::value* all = find(value, "latency_counts"); all != nullptr && all->is_array())
        for (const json::value& each : all->get_array()) {
            boost::system::error_code failure;
            auto count = each.to_number<std::uint64_t>(failure);
            replica.latency_counts.push_back(failure ? 0 : count);
        }
    return replica;
}

void read_links(const json::value& root, StatusDocument& status) {
    if (const json::value* links = find(root, "links"); links != nullptr && links->is_object())
        for (const json::key_value_pair& link : links->get_object())
            status.links[std::string(link.key())] = boolean(*links, link.key(), false);
    if (const json::value* all = find(root, "link_details"); all != nullptr && all->is_object())
        for (const json::key_value_pair& link : all->get_object())
            status.link_details[std::string(link.key())] = {text(link.value(), "protocol"),
                                                            number(link.value(), "rtt_us"),
                                                            text(link.value(), "last_error")};
}

void read_process(const json::value& root, StatusDocument& status) {
    status.version = text(root, "version");
    status.draining = boolean(root, "draining", false);
    status.uptime_s = number(root, "uptime_s");
    status.cpu_us = number(root, "cpu_us");
    status.clock_ms = number(root, "clock_ms");
    if (const json::value* why = find(root, "not_ready"); why != nullptr && why->is_array())
        for (const json::value& each : why->get_array())
            if (each.is_string()) status.not_ready.emplace_back(each.get_string());
    if (const json::value* http = find(root, "http"))
        status.http_waiting = number(*http, "waiting");
    if (const json::value* all = find(root, "certificates"))
        status.certificates = {number(*all, "count"), number(*all, "sum_us"),
                               number(*all, "p50_us"), number(*all, "p99_us")};
}

std::optional<std::uint64_t> id_of(std::string_view name) {
    std::uint64_t id = 0;
    const char* end = name.data() + name.size();
    if (name.empty() || std::from_chars(name.data(), end, id).ptr != end) return std::nullopt;
    return id;
}

void read_guard(const json::value& guard, StatusDocument::Voter& voter) {
    voter.guard_state = text(guard, "state");
    voter.reason = text(guard, "reason");
    voter.chunks = number(guard, "chunks");
    voter.chunks_loaded = number(guard, "chunks_loaded");
    voter.transfers = number(guard, "transfers");
    if (const json::value* all = find(guard, "differences"); all != nullptr && all->is_array())
        for (const json::value& each : all->get_array())
            if (each.is_string()) voter.differences.emplace_back(each.get_string());
    const json::value* roots = find(guard, "roots");
    if (roots == nullptr || !roots->is_object()) return;
    for (const json::key_value_pair& at : roots->get_object()) {
        auto slot = id_of(at.key());
        if (!slot || !at.value().is_object()) continue;
        for (const json::key_value_pair& root : at.value().get_object())
            if (auto id = id_of(root.key())) voter.roots[*slot][*id] = text(at.value(), root.key());
    }
}

StatusDocument::Voter read_voter(const json::value& value) {
    StatusDocument::Voter voter;
    for (const auto& [partition, next] : counts(value, "next")) {
        std::uint64_t id = 0;
        const char* end = partition.data() + partition.size();
        if (std::from_chars(partition.data(), end, id).ptr == end) voter.next[id] = next;
    }
    voter.waiting = number(value, "waiting");
    voter.in_flight = number(value, "in_flight");
    voter.executed = number(value, "executed");
    voter.database_up = boolean(value, "database_up", true);
    voter.quarantined = boolean(value, "quarantined", false);
    if (const json::value* guard = find(value, "guard")) read_guard(*guard, voter);
    return voter;
}

}  // namespace

Result<StatusDocument> parse_status(std::string_view document) {
    boost::system::error_code failure;
    const json::value root = json::parse({document.data(), document.size()}, failure);
    if (failure || !root.is_object())
        return error(Errc::malformed, "the daemon's status is no JSON document");
    StatusDocument status;
    status.host = text(root, "host");
    status.cluster = text(root, "cluster");
    status.ready = boolean(root, "ready", false);
    status.software_usig = boolean(root, "software_usig", false);
    status.misbehaviour = text(root, "misbehaviour");
    if (const json::value* roles = find(root, "roles"); roles != nullptr && roles->is_array())
        for (const json::value& role : roles->get_array())
            if (role.is_string()) status.roles.emplace_back(role.get_string());
    read_process(root, status);
    read_links(root, status);
    if (const json::value* primary = find(root, "primary"))
        status.primary = {number(*primary, "view"), number(*primary, "tip"),
                          number(*primary, "pooled"), number(*primary, "ordered"),
                          text(*primary, "phase")};
    if (const json::value* all = find(root, "replicas"); all != nullptr && all->is_array())
        for (const json::value& replica : all->get_array())
            status.replicas.push_back(read_replica(replica));
    if (const json::value* voter = find(root, "voter")) status.voter = read_voter(*voter);
    status.disagreements = counts(root, "disagreements");
    status.drops = counts(root, "drops");
    if (const json::value* stages = find(root, "stages"); stages != nullptr && stages->is_object())
        for (const json::key_value_pair& stage : stages->get_object())
            status.stages.push_back({std::string(stage.key()), number(stage.value(), "count"),
                                     number(stage.value(), "p50_us"),
                                     number(stage.value(), "p99_us"),
                                     number(stage.value(), "sum_us")});
    return status;
}

std::filesystem::path control_socket_of(const std::filesystem::path& status_socket) {
    return status_socket.string() + ".control";
}

Result<void> send_control(const std::filesystem::path& socket, const std::string& line) {
    auto answer = ask_control(socket, line, 4096, patience);
    if (!answer) return answer.error();
    return {};
}

Result<std::string> ask_control(const std::filesystem::path& socket, const std::string& line,
                                std::size_t most, std::chrono::milliseconds how_long) {
    using boost::asio::local::stream_protocol;
    boost::asio::io_context io;
    stream_protocol::socket stream(io);
    boost::system::error_code failure;
    stream.connect(stream_protocol::endpoint(socket.string()), failure);
    if (!failure) boost::asio::write(stream, boost::asio::buffer(line + "\n"), failure);
    if (failure)
        return error(Errc::unavailable,
                     "no daemon answers at " + socket.string() + " (" + failure.message() + ")");
    std::string answer;
    boost::system::error_code ended = boost::asio::error::would_block;
    boost::asio::async_read(stream, boost::asio::dynamic_buffer(answer, most),
                            [&](const boost::system::error_code& e, std::size_t) { ended = e; });
    io.run_for(how_long);
    if (ended != boost::asio::error::eof)
        return error(Errc::unavailable,
                     "the daemon at " + socket.string() + " accepts, but does not answer in time");
    constexpr std::string_view good = "ok\n";
    if (answer.starts_with(good)) return answer.substr(good.size());
    while (!answer.empty() && answer.back() == '\n') answer.pop_back();
    return error(Errc::refused, answer);
}

Result<std::string> read_status(const std::filesystem::path& socket) {
    using boost::asio::local::stream_protocol;
    boost::asio::io_context io;
    stream_protocol::socket stream(io);
    boost::system::error_code failure;
    stream.open(stream_protocol(), failure);
    // A daemon that hangs lets askers queue; when the queue is full, a blocking connect would hang,
    // too. Asio takes that answer (EAGAIN) for one that may still become a connection.
    const stream_protocol::endpoint place(socket.string());
    if (!failure) stream.non_blocking(true, failure);
    if (!failure &&
        ::connect(stream.native_handle(), place.data(), static_cast<socklen_t>(place.size())) != 0)
        failure.assign(errno, boost::system::system_category());
    if (failure)
        return error(Errc::unavailable,
                     "no daemon answers at " + socket.string() + " (" + failure.message() + ")");
    std::string document;
    boost::system::error_code ended = boost::asio::error::would_block;
    boost::asio::async_read(stream, boost::asio::dynamic_buffer(document, document_bytes_max),
                            [&](const boost::system::error_code& e, std::size_t) { ended = e; });
    io.run_for(patience);
    if (ended != boost::asio::error::eof)
        return error(Errc::unavailable, "the daemon at " + socket.string() +
                                            " accepts, but does not answer within 3 s");
    return document;
}

}  // namespace bft::node
