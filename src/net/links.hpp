// Authenticated links that carry frames. Everything runs on the thread of one io_context, callbacks
// included; Links has no threads of its own (Asio's resolver starts one when an address is a name
// rather than a number).
//
// A frame is four bytes of big-endian length and that many bytes of payload; here `frame` is the
// payload. An empty frame is a sign of life, sent when TLS is up and when a link was silent, and
// never given to the host. A link is up when the other side's first frame has come: only then do we
// know that it took our certificate.
#pragma once

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/prng.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::net {

struct LinkOptions {
    std::string name = "net";  ///< in log lines: "peers", "clients"
    std::uint32_t frame_bytes_max =
        16 * 1024 * 1024;                           ///< of a received frame; longer closes the link
    std::uint32_t send_frames_max = 65536;          ///< queued per connection
    std::size_t send_bytes_max = 64 * 1024 * 1024;  ///< queued per connection
    Duration handshake_timeout = 5s;                ///< TCP connect (when dialling) and TLS
    Duration first_frame_timeout = 5s;              ///< from TLS to the first frame
    Duration idle_timeout =
        30s;  ///< without a whole frame received, or without progress in sending
    std::uint32_t connections_per_key_max = 8;  ///< accepted; a further one replaces the oldest
    std::uint32_t connections_max = 1024;       ///< accepted and up; further ones are refused
    std::uint32_t handshakes_max = 256;  ///< accepted and not yet up; further ones are refused
    Duration backoff_min = 50ms;         ///< between attempts of one dialled link, with jitter
    Duration backoff_max = 2s;
    /// Protocol versions that this program speaks, best first, as TLS's ALPN carries them. Two
    /// sides without a common one hang up and say so.
    std::vector<std::string> protocols = {"bftnode/1"};
};

struct LinkCallbacks {
    /// May the holder of this Ed25519 public key connect to us? Asked during the handshake.
    std::function<bool(ByteView key)> allowed;
    std::function<void(ByteView key, Bytes frame)> on_frame;
    /// The first connection with `key` is up: send() has somewhere to go. May be empty.
    std::function<void(ByteView key)> on_up;
    /// The last connection with `key` is gone. May be empty.
    std::function<void(ByteView key, std::string_view reason)> on_down;
};

/// Counts of one dialled link over all its connections, or of one accepted connection.
struct LinkReport {
    Bytes key;
    std::string address;
    bool dialled = false;
    bool up = false;
    std::uint64_t connects = 0;  ///< times that it came up
    std::uint64_t frames_in = 0, bytes_in = 0;
    std::uint64_t frames_out = 0, bytes_out = 0;
    std::uint64_t dropped = 0;  ///< frames that did not fit the queue, or were queued when it broke
    std::size_t queued_frames = 0, queued_bytes = 0;
    std::string protocol;      ///< that both sides speak; empty before TLS is up
    std::uint32_t rtt_us = 0;  ///< smoothed round trip, as TCP measures it; 0: not known
    std::string last_error;    ///< why it is down, or was last
};

struct LinksReport {
    std::vector<LinkReport> links;
    std::uint64_t accepted = 0;
    std::uint64_t refused_key = 0;      ///< a certificate whose key is not allowed, or is another's
    std::uint64_t refused_full = 0;     ///< over connections_max or handshakes_max
    std::uint64_t timeouts = 0;         ///< handshake, first frame, idle
    std::uint64_t oversized = 0;        ///< frames announced beyond the bound
    std::uint64_t dropped_no_link = 0;  ///< send() to a key without a connection
};

class Session;

class Links {
public:
    /// `tls` comes from crypto::make_tls_context and must outlive this, as `io` must.
    Links(boost::asio::io_context& io, boost::asio::ssl::context& tls, LinkOptions options,
          LinkCallbacks callbacks);
    ~Links();
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;

    /// "host:port", "[v6]:port"; port 0 lets the system choose. Gives the port. May be called again
    /// for further addresses.
    Result<std::uint16_t> listen(std::string_view address);

    /// Keeps one connection to the holder of `key` up from now on. Errc::malformed for an address
    /// that cannot be read; everything that happens later is retried with back-off. A second dial
    /// of the same key replaces the address.
    Result<void> dial(ByteView key, std::string_view address);
    /// Ends the dialled link.
    void hang_up(ByteView key);

    /// Over the dialled link with `key` if it is up, else over every accepted connection of that
    /// key. False when no connection took the frame: there is none, its queue is full, or the frame
    /// is larger than 16 MiB. Nothing is kept for later: retransmission is the protocol's.
    bool send(ByteView key, std::shared_ptr<const Bytes> frame);

    [[nodiscard]] bool is_up(ByteView key) const;

    /// Stops reading the sockets of `key`, present and future: TCP then stops the sender. At most
    /// what one read brought is kept in memory. Not counted as idleness.
    void pause_reading(ByteView key);
    void resume_reading(ByteView key);

    /// Closes accepted connections of `key`; a dialled link is dialled again.
    void disconnect(ByteView key, std::string_view reason);

    /// Ends everything; no callback is called from then on. The destructor does it, too. close()
    /// may be called from a callback, the destructor must not be.
    void close();

    [[nodiscard]] LinksReport report() const;

private:
    friend class Session;
    struct Dial;
    struct Listener;
    struct KeyLess {
        using is_transparent = void;
        bool operator()(ByteView a, ByteView b) const;
    };
    using SessionPtr = std::shared_ptr<Session>;

    using DialPtr = std::shared_ptr<Dial>;
    using ListenerPtr = std::shared_ptr<Listener>;

    void accept_next(const ListenerPtr& listener);
    void adopt(boost::asio::ip::tcp::socket socket);
    void attempt(const DialPtr& dial);
    void attempt_at(const DialPtr& dial,
                    const std::vector<boost::asio::ip::tcp::endpoint>& endpoints);
    void retry_later(const DialPtr& dial, const std::string& reason);
    void count_up(const Bytes& key);
    void count_down(const Bytes& key, std::string_view reason);
    void accepted_closed(const SessionPtr& session, const std::string& reason);
    void dialled_closed(const DialPtr& dial, const std::string& reason);
    void warn_refused(const Session& session, const std::string& reason);
    [[nodiscard]] DialPtr dial_of(const Session& session) const;
    template <class Visit>
    void each_session(ByteView key, const Visit& visit);

    // What a Session asks and tells.
    [[nodiscard]] bool permitted(ByteView key) const;
    void established(const SessionPtr& session);
    void received(const Session& session, Bytes frame);
    void timed_out() { ++totals_.timeouts; }
    void oversized(const Session& session, std::uint64_t bytes);
    void closed(const SessionPtr& session, const std::string& reason);

    boost::asio::io_context& io_;
    boost::asio::ssl::context& tls_;
    LinkOptions options_;
    LinkCallbacks callbacks_;
    Prng jitter_;
    std::vector<ListenerPtr> listeners_;
    std::map<Bytes, DialPtr, KeyLess> dials_;
    std::vector<SessionPtr> handshaking_;                         ///< accepted, not yet up
    std::map<Bytes, std::vector<SessionPtr>, KeyLess> accepted_;  ///< up, oldest first
    std::size_t accepted_count_ = 0;
    std::map<Bytes, std::uint32_t, KeyLess> up_;  ///< connections that are up, by key
    std::set<Bytes, KeyLess> paused_;
    LinksReport totals_;  ///< its `links` stay empty
    log::RateLimit warnings_;
    bool closed_ = false;
};

}  // namespace bft::net
