#include "http_entry.hpp"

#include "base/invariant.hpp"
#include "client/calls.hpp"
#include "client/json_calls.hpp"
#include "http/request_reader.hpp"
#include "wire/json.hpp"

#include <boost/json/serialize.hpp>

#include <cstdio>
#include <cstring>

namespace bft::fuzz {

namespace {

using http::RequestReader;

std::string_view text_of(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

http::Limits small_limits() {
    http::Limits limits;
    limits.header_bytes = 2048;
    limits.body_bytes = 1024;
    return limits;
}

struct Seen {
    std::vector<std::string> requests;
    unsigned refused = 0;
};

std::string describe(RequestReader::Message& message) {
    auto request = http::to_request(message);
    if (!request) return "no target";
    invariant(request->body.size() <= small_limits().body_bytes, "a body is within its bound");
    std::string all = request->method + " " + request->path + " " + request->content_type + " " +
                      request->authorization + " " + request->idempotency_key.value_or("-");
    for (const auto& [name, value] : request->query) all += "&" + name + "=" + value;
    return all + "\n" + request->body;
}

Seen feed(ByteView bytes, std::size_t piece) {
    Seen seen;
    RequestReader reader(small_limits());
    reader.next();
    while (!bytes.empty()) {
        auto room = reader.prepare();
        std::size_t count = std::min({piece, room.size(), bytes.size()});
        std::memcpy(room.data(), bytes.data(), count);
        reader.commit(count);
        bytes = bytes.subspan(count);
        while (reader.has_bytes()) {
            auto step = reader.parse();
            if (step == RequestReader::Step::refused) {
                seen.refused = reader.refusal().status;
                return seen;
            }
            if (step != RequestReader::Step::done) break;
            bool last = !reader.message().keep_alive();
            seen.requests.push_back(describe(reader.message()));
            if (last) return seen;
            reader.next();
        }
    }
    return seen;
}

void show(const char* how, const Seen& seen) {
    std::fprintf(stderr, "%s: refused %u\n", how, seen.refused);
    for (const std::string& request : seen.requests)
        std::fprintf(stderr, "  %s\n", request.c_str());
}

const catalog::Application& application() {
    static const auto loaded = catalog::Application::load(BFT_FUZZ_APPLICATION);
    invariant(loaded.has_value(), "the application is good");
    return *loaded;
}

}  // namespace

bool http_connection(ByteView bytes) {
    if (bytes.empty()) return false;
    std::size_t piece = std::size_t{bytes.front()} + 1;
    Seen whole = feed(bytes.subspan(1), SIZE_MAX);
    Seen pieces = feed(bytes.subspan(1), piece);
    bool same = whole.requests == pieces.requests && whole.refused == pieces.refused;
    // Boost.Beast looks at a header that comes in pieces when its end has come. What is wrong in
    // one that never ends is seen earlier when it comes at once, never the other way round; with
    // its end both say the same.
    if (!same && whole.requests == pieces.requests && pieces.refused == 0) {
        Bytes ended = to_bytes(bytes.subspan(1));
        for (char c : std::string_view("\r\n\r\n")) ended.push_back(static_cast<std::uint8_t>(c));
        pieces = feed(ended, piece);
        same = whole.refused == pieces.refused && whole.requests == pieces.requests;
    }
    if (!same) {
        show("in one piece", whole);
        show("in pieces", pieces);
    }
    invariant(same, "pieces mean what the whole means");
    return !whole.requests.empty();
}

bool json_requests(ByteView bytes) {
    bool list = false;
    auto requests = wire::requests_from_json(text_of(bytes), list);
    if (!requests) return false;
    invariant(!requests->empty() && requests->size() <= wire::requests_of_body_max, "bounded");
    for (const consensus::Body& request : *requests) {
        auto json = wire::request_to_json(*request);
        auto again = wire::request_from_json(json);
        invariant(again.has_value(), "what we write can be read");
        invariant(wire::request_to_json(**again) == json, "and means the same");
    }
    return true;
}

bool json_arguments(ByteView bytes) {
    if (bytes.empty()) return false;
    const auto& procedures = application().procedures();
    auto at = std::next(procedures.begin(), bytes.front() % static_cast<int>(procedures.size()));
    auto values = client::arguments_from_json(at->second, text_of(bytes.subspan(1)));
    if (!values) return false;
    invariant(values->size() == at->second.parameters.size(), "one value for each parameter");
    return client::prepare(application(), at->first, std::move(*values)).has_value();
}

bool json_receipt(ByteView bytes) {
    auto receipt = wire::receipt_from_json(text_of(bytes));
    if (!receipt) return false;
    std::string text = boost::json::serialize(wire::receipt_to_json(*receipt));
    auto again = wire::receipt_from_json(text);
    invariant(again.has_value(), "what we write can be read");
    invariant(boost::json::serialize(wire::receipt_to_json(*again)) == text, "and means the same");
    return true;
}

}  // namespace bft::fuzz
