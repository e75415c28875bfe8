// What the USIG service and its clients say to each other on the host's unix socket. Frames: 4
// bytes of length, then the payload; one fixed layout for each kind, big-endian.
//
//   service: hello(nonce)      client: attach(identity, HMAC(token, nonce, identity))
//   service: done              client: create(identity, digest) | last(identity) |
//                                     forsake(identity, value)
//   service: certified | nothing | hole | failed
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "usig/certifier.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>

namespace bft::usig::protocol {

constexpr std::size_t frame_bytes_max = 4096;
constexpr std::uint8_t version = 2;

struct Hello {
    std::uint8_t version = protocol::version;
    Digest nonce;
};
struct Attach {
    std::uint64_t number = 0;  ///< the client's; the answer carries it
    UsigId identity{};
    Digest proof;
};
struct Create {
    std::uint64_t number = 0;
    UsigId identity{};
    Digest digest;
};
struct Last {
    std::uint64_t number = 0;
    UsigId identity{};
};
struct Forsake {
    std::uint64_t number = 0;
    UsigId identity{};
    Counter cv{};
};
/// Attached.
struct Done {
    std::uint64_t number = 0;
};
struct Answer {
    std::uint64_t number = 0;
    Certified certified;
};
/// No certificate has been made yet.
struct Nothing {
    std::uint64_t number = 0;
};
/// A hole, and the last certificate before it if there is one.
struct Hole {
    std::uint64_t number = 0;
    Counter cv{};
    std::optional<Certified> last;
};
struct Failed {
    std::uint64_t number = 0;
    Error problem;
};

using Message =
    std::variant<Hello, Attach, Create, Last, Forsake, Done, Answer, Nothing, Hole, Failed>;

/// With the length in front.
Bytes encode(const Message& message);
/// Of a payload without the length; nullopt when malformed.
std::optional<Message> decode(ByteView payload);

/// Length in a frame's first four bytes; nullopt when zero or above frame_bytes_max.
std::optional<std::size_t> frame_length(ByteView four);

/// The authorization of one identity: 32 random bytes that the service and its role share.
using Token = Digest;
using Tokens = std::map<UsigId, Token>;
Digest proof(const Token& token, const Digest& nonce, UsigId identity);

/// A text file of mode 0600, one line "identity token" each.
Result<Tokens> load_tokens(const std::filesystem::path& file);
Result<void> save_tokens(const std::filesystem::path& file, const Tokens& tokens);
Result<Token> new_token();

}  // namespace bft::usig::protocol
