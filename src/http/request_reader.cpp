#include "http/request_reader.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

namespace bft::http {

namespace {

namespace web = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t read_bytes = 16 * 1024;
constexpr std::size_t buffer_bytes_max = 96 * 1024;  // a header of the largest bound, and one read

Response explain(const error_code& failure) {
    if (failure == web::error::header_limit || failure == web::error::buffer_overflow)
        return error_response(431, "too_large", "the request's header is too large");
    if (failure == web::error::body_limit)
        return error_response(413, "too_large", "the request's body is too large");
    return error_response(400, "malformed", "this is no HTTP request: " + failure.message());
}

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

RequestReader::RequestReader(const Limits& limits) : limits_(limits), buffer_(buffer_bytes_max) {}

void RequestReader::next() {
    parser_.emplace();
    parser_->header_limit(limits_.header_bytes);
    parser_->body_limit(limits_.body_bytes);
    parser_->eager(true);
    header_told_ = false;
}

boost::asio::mutable_buffer RequestReader::prepare() {
    return buffer_.prepare(read_bytes);
}

RequestReader::Step RequestReader::parse() {
    error_code failure;
    buffer_.consume(parser_->put(buffer_.data(), failure));
    if (failure == web::error::need_more) failure = {};
    if (!failure && buffer_.size() > buffer_bytes_max - read_bytes)
        failure = web::error::header_limit;
    if (failure) {
        refusal_ = explain(failure);
        return Step::refused;
    }
    if (parser_->is_done()) return Step::done;
    if (!parser_->is_header_done() || std::exchange(header_told_, true)) return Step::more;
    auto length = announced();
    if (!length || *length <= limits_.body_bytes) return Step::header;
    refusal_ = explain(web::error::body_limit);
    return Step::refused;
}

std::optional<std::uint64_t> RequestReader::announced() const {
    auto length = parser_->content_length();
    return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

bool RequestReader::expects_continue() const {
    return boost::beast::iequals(parser_->get()[web::field::expect], "100-continue");
}

std::optional<Request> to_request(RequestReader::Message& message) {
    auto target = parse_target(view(message.target()));
    if (!target) return std::nullopt;
    Request request;
    request.method =
        message.method() == web::verb::head ? "GET" : std::string(view(message.method_string()));
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    request.content_type = media_type(view(message[web::field::content_type]));
    request.authorization = std::string(view(message[web::field::authorization]));
    if (auto key = message.find("Idempotency-Key"); key != message.end())
        request.idempotency_key = std::string(view(key->value()));
    request.body = std::move(message.body());
    return request;
}

}  // namespace bft::http
