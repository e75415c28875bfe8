// One TLS connection: handshake, frames in, frames out, timeouts. Links owns it and decides.
#pragma once

#include "net/links.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace bft::net {

TimePoint steady_now();

class Session : public std::enable_shared_from_this<Session> {
public:
    using Stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

    /// Of an accepted connection.
    Session(Links& links, boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& tls,
            const LinkOptions& options);
    /// Of a dialled one: only the holder of `expected` will do.
    Session(Links& links, boost::asio::io_context& io, boost::asio::ssl::context& tls,
            const LinkOptions& options, Bytes expected, std::shared_ptr<LinkReport> counters);

    void accept();
    void connect(const std::vector<boost::asio::ip::tcp::endpoint>& endpoints);

    /// False when the queue is full.
    bool send(std::shared_ptr<const Bytes> frame);
    void pause_reading() { paused_ = true; }
    void resume_reading();
    /// Closes and tells Links.
    void close(const std::string& reason);
    /// Closes without a word to Links, which is going away or has forgotten us.
    void abandon();

    [[nodiscard]] bool dialled() const { return dialled_; }
    [[nodiscard]] bool up() const { return phase_ == Phase::up; }
    /// The key that the other side has proven; empty before TLS is up.
    [[nodiscard]] const Bytes& key() const { return key_; }
    [[nodiscard]] const Bytes& expected() const { return expected_; }
    [[nodiscard]] const std::string& remote() const { return remote_; }
    /// Counters and queue as they are now.
    [[nodiscard]] LinkReport report() const;
    /// Where this session counts: its own report, or that of the dialled link.
    [[nodiscard]] LinkReport& counters() { return *counters_; }
    /// The key for which the handshake was refused; empty when that is not what happened.
    [[nodiscard]] const Bytes& refused_key() const { return refused_key_; }
    /// No version of the protocol is common to both sides.
    [[nodiscard]] bool incompatible() const { return incompatible_; }

private:
    enum class Phase { connecting, handshake, first_frame, up, closed };

    void require_pinned_key();
    void offer_protocols();
    bool agree_on_protocol();
    static int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size,
                               const unsigned char* offered, unsigned offered_size, void*);
    void start_handshake();
    void handshake_done(const boost::system::error_code& code);
    bool may_speak(ByteView key);
    std::string explain(const boost::system::error_code& code) const;
    void read();
    void make_room_to_read();
    void take_frames();
    void first_frame_came();
    void flush_later();
    void flush();
    void wait_until(Phase phase, Duration timeout, const char* what);
    void watch();
    void shut();
    void send_sign_of_life();

    Links* links_;  ///< null when abandoned
    Stream stream_;
    boost::asio::steady_timer timer_;
    const LinkOptions options_;
    const bool dialled_;
    const Bytes expected_;
    Bytes key_;
    Bytes refused_key_;
    bool incompatible_ = false;
    std::string peer_protocols_;  ///< what a client offered, for people
    std::string remote_;
    std::shared_ptr<LinkReport> counters_;
    Phase phase_ = Phase::connecting;

    Bytes in_;  ///< received bytes are in_[in_begin_, in_end_)
    std::size_t in_begin_ = 0;
    std::size_t in_end_ = 0;
    bool reading_ = false;
    bool paused_ = false;
    bool taking_ = false;
    TimePoint last_in_{};  ///< last whole frame, or end of a pause

    std::deque<std::shared_ptr<const Bytes>> queue_;
    std::size_t queue_bytes_ = 0;
    Bytes out_;  ///< what is being written
    std::size_t out_frames_ = 0;
    bool writing_ = false;
    bool flush_posted_ = false;
    TimePoint last_out_{};  ///< last write that ended
    TimePoint write_began_{};
};

}  // namespace bft::net
