// Bytes of a connection to requests, bounded, without I/O: who reads the bytes (a connection, a
// fuzzer) brings them.
#pragma once

#include "http/message.hpp"
#include "http/server.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstdint>
#include <optional>

namespace bft::http {

class RequestReader {
public:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Message = Parser::value_type;

    explicit RequestReader(const Limits& limits);

    /// Begins the next request; what came behind the last one counts already.
    void next();
    [[nodiscard]] bool has_bytes() const { return buffer_.size() > 0; }
    [[nodiscard]] boost::asio::mutable_buffer prepare();
    void commit(std::size_t bytes) { buffer_.commit(bytes); }

    enum class Step : std::uint8_t {
        more,    ///< bytes are missing
        header,  ///< the header is complete, bytes of the body are missing; said once
        done,
        refused,  ///< see refusal()
    };
    Step parse();
    /// What its sender is told.
    [[nodiscard]] const Response& refusal() const { return *refusal_; }

    /// Of the body; nullopt when the header does not say (chunked).
    [[nodiscard]] std::optional<std::uint64_t> announced() const;
    [[nodiscard]] bool expects_continue() const;
    Message& message() { return parser_->get(); }
    void forget() { parser_.reset(); }

private:
    const Limits limits_;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;
    std::optional<Response> refusal_;
    bool header_told_ = false;
};

/// As handlers see it; takes the body. HEAD becomes GET. nullopt when the target is malformed.
std::optional<Request> to_request(RequestReader::Message& message);

}  // namespace bft::http
