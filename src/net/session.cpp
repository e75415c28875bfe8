#include "net/session.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <netinet/tcp.h>
#include <utility>

namespace bft::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t length_bytes = 4;
constexpr std::size_t read_bytes = 32 * 1024;   // two TLS records
constexpr std::size_t write_bytes = 64 * 1024;  // frames that wait together are written together
constexpr std::size_t kept_buffer_bytes = 256 * 1024;

std::uint32_t read_length(const std::uint8_t* in) {
    return std::uint32_t{in[0]} << 24 | std::uint32_t{in[1]} << 16 | std::uint32_t{in[2]} << 8 |
           std::uint32_t{in[3]};
}

void append_length(Bytes& out, std::size_t length) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(length >> shift));
}

// The certificate's Ed25519 key; empty when it holds another kind.
Bytes key_in(X509* certificate) {
    Bytes key(32);
    std::size_t size = key.size();
    EVP_PKEY* pkey = certificate == nullptr ? nullptr : X509_get0_pubkey(certificate);
    if (pkey == nullptr || EVP_PKEY_is_a(pkey, "ED25519") != 1 ||
        EVP_PKEY_get_raw_public_key(pkey, key.data(), &size) != 1 || size != key.size())
        return {};
    return key;
}

Bytes peer_key(SSL* ssl) {
    X509* certificate = SSL_get1_peer_certificate(ssl);
    Bytes key = key_in(certificate);
    X509_free(certificate);
    return key;
}

std::string seconds(Duration duration) {
    using std::chrono::duration_cast;
    auto ms = duration_cast<std::chrono::milliseconds>(duration).count();
    return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

// Long-lived connections through networks that forget silent ones; small frames that cannot wait.
void set_socket_options(tcp::socket& socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

}  // namespace

namespace {

constexpr std::size_t shown_bytes_max = 100;

int session_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// A stranger's words, in a log line.
std::string printable(std::string_view text) {
    std::string safe(text.substr(0, shown_bytes_max));
    for (char& c : safe)
        if (c < '!' || c > '~' || c == '"') c = '?';
    return safe;
}

// What the kernel knows of this connection: nobody has to send anything for it.
std::uint32_t round_trip_us(int socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_rtt;
}

}  // namespace

TimePoint steady_now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

Session::Session(Links& links, tcp::socket socket, asio::ssl::context& tls,
                 const LinkOptions& options)
    : links_(&links),
      stream_(std::move(socket), tls),
      timer_(stream_.get_executor()),
      options_(options),
      dialled_(false),
      counters_(std::make_shared<LinkReport>()) {
    error_code code;
    auto endpoint = stream_.next_layer().remote_endpoint(code);
    if (!code) remote_ = endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
    counters_->address = remote_;
}

Session::Session(Links& links, asio::io_context& io, asio::ssl::context& tls,
                 const LinkOptions& options, Bytes expected, std::shared_ptr<LinkReport> counters)
    : links_(&links),
      stream_(io, tls),
      timer_(stream_.get_executor()),
      options_(options),
      dialled_(true),
      expected_(std::move(expected)),
      remote_(counters->address),
      counters_(std::move(counters)) {}

// --- coming up
// -------------------------------------------------------------------------------------

void Session::connect(const std::vector<tcp::endpoint>& endpoints) {
    wait_until(Phase::connecting, options_.handshake_timeout, "connecting");
    asio::async_connect(stream_.next_layer(), endpoints,
                        [self = shared_from_this()](const error_code& code, const tcp::endpoint&) {
                            if (self->phase_ == Phase::closed) return;
                            if (code) return self->close("cannot connect: " + code.message());
                            self->start_handshake();
                        });
}

void Session::accept() {
    start_handshake();
}

void Session::start_handshake() {
    phase_ = Phase::handshake;
    set_socket_options(stream_.next_layer());
    require_pinned_key();
    offer_protocols();
    wait_until(Phase::handshake, options_.handshake_timeout, "the TLS handshake");
    stream_.async_handshake(
        dialled_ ? asio::ssl::stream_base::client : asio::ssl::stream_base::server,
        [self = shared_from_this()](const error_code& code) { self->handshake_done(code); });
}

// The key of the certificate decides, nothing else in it does: TLS proves that the other side has
// the private half, the cluster file says whose it is.
void Session::require_pinned_key() {
    error_code code;
    stream_.set_verify_callback(
        [this](bool, asio::ssl::verify_context& context) {
            Bytes key = key_in(X509_STORE_CTX_get0_cert(context.native_handle()));
            if (!key.empty() && may_speak(key)) return true;
            refused_key_ = std::move(key);
            return false;
        },
        code);
}

bool Session::may_speak(ByteView key) {
    if (links_ == nullptr) return false;
    return dialled_ ? std::ranges::equal(key, expected_) : links_->permitted(key);
}

void Session::handshake_done(const error_code& code) {
    if (phase_ == Phase::closed) return;
    if (code) return close(explain(code));
    // Asked again of the finished connection: no way through the handshake avoids the check.
    key_ = peer_key(stream_.native_handle());
    if (key_.empty() || !may_speak(key_)) {
        refused_key_ = key_;
        return close("its key is not allowed");
    }
    if (!agree_on_protocol()) return;
    counters_->key = key_;
    phase_ = Phase::first_frame;
    wait_until(Phase::first_frame, options_.first_frame_timeout, "the first frame");
    send_sign_of_life();
    read();
}

// --- which version both speak
// ----------------------------------------------------------------------

// Of TLS's list of names, each with its length before it.
void Session::offer_protocols() {
    SSL* ssl = stream_.native_handle();
    if (!dialled_) {
        SSL_set_ex_data(ssl, session_index(), this);
        SSL_CTX_set_alpn_select_cb(SSL_get_SSL_CTX(ssl), choose_protocol, nullptr);
        return;
    }
    Bytes list;
    for (const std::string& name : options_.protocols) {
        list.push_back(static_cast<std::uint8_t>(name.size()));
        list.insert(list.end(), name.begin(), name.end());
    }
    SSL_set_alpn_protos(ssl, list.data(), static_cast<unsigned>(list.size()));
}

// OpenSSL has checked that the list is well formed. Where nothing fits, the handshake goes on
// without a choice: so both sides learn who the other is and can say what is wrong.
int Session::choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size,
                             const unsigned char* offered, unsigned offered_size, void*) {
    auto* self = static_cast<Session*>(SSL_get_ex_data(ssl, session_index()));
    std::vector<std::string_view> names;
    for (unsigned at = 0; at < offered_size; at += 1U + offered[at])
        names.emplace_back(reinterpret_cast<const char*>(offered) + at + 1, offered[at]);
    for (const std::string& ours : self->options_.protocols) {
        auto found = std::ranges::find(names, std::string_view(ours));
        if (found == names.end()) continue;
        *chosen = reinterpret_cast<const unsigned char*>(found->data());
        *size = static_cast<unsigned char>(found->size());
        return SSL_TLSEXT_ERR_OK;
    }
    for (std::string_view name : names) {
        if (self->peer_protocols_.size() > shown_bytes_max) break;
        self->peer_protocols_ += (self->peer_protocols_.empty() ? "" : ", ") + printable(name);
    }
    return SSL_TLSEXT_ERR_NOACK;
}

bool Session::agree_on_protocol() {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(stream_.native_handle(), &name, &size);
    if (size != 0) {
        counters_->protocol.assign(reinterpret_cast<const char*>(name), size);
        return true;
    }
    incompatible_ = true;
    std::string ours;
    for (const std::string& each : options_.protocols) ours += (ours.empty() ? "" : ", ") + each;
    close("no common protocol version: we speak " + ours + ", the other side " +
          (!peer_protocols_.empty() ? peer_protocols_ : "none of these") +
          "; upgrade the older of the two");
    return false;
}

void Session::first_frame_came() {
    phase_ = Phase::up;
    last_in_ = last_out_ = steady_now();
    watch();
    links_->established(shared_from_this());
}

std::string Session::explain(const error_code& code) const {
    if (!refused_key_.empty()) {
        return dialled_ ? "expected key " + hex(expected_) + " but " + remote_ + " presented " +
                              hex(refused_key_) + ": check the address and the cluster file"
                        : "key " + hex(refused_key_) +
                              " is not allowed here: it is not in the cluster file";
    }
    bool ended = code == asio::error::eof || code == asio::ssl::error::stream_truncated ||
                 code == asio::error::connection_reset || code == asio::error::broken_pipe;
    switch (phase_) {
        case Phase::handshake:
            return "TLS handshake failed: " + code.message();
        case Phase::first_frame:
            // In TLS 1.3 the dialling side finishes first and learns only then what became of it.
            return "refused after the TLS handshake (" + code.message() +
                   "): does the other side's cluster file list our key?";
        default:
            return ended ? "closed by the other side" : code.message();
    }
}

// --- frames in
// -------------------------------------------------------------------------------------

void Session::read() {
    if (reading_ || paused_ || phase_ == Phase::closed) return;
    make_room_to_read();
    reading_ = true;
    stream_.async_read_some(asio::buffer(in_.data() + in_end_, in_.size() - in_end_),
                            [self = shared_from_this()](const error_code& code, std::size_t size) {
                                self->reading_ = false;
                                if (self->phase_ == Phase::closed) return;
                                if (code) return self->close(self->explain(code));
                                self->in_end_ += size;
                                self->counters_->bytes_in += size;
                                self->take_frames();
                                self->read();
                            });
}

// The buffer grows with what has come, not with what a length announces: sixteen million bytes of
// memory cost the sender as many bytes.
void Session::make_room_to_read() {
    if (in_begin_ == in_end_) {
        in_begin_ = in_end_ = 0;
        if (in_.size() > kept_buffer_bytes) in_ = Bytes();
    }
    if (in_.size() < read_bytes) in_.resize(read_bytes);
    if (in_.size() - in_end_ >= read_bytes / 2) return;
    if (in_begin_ > 0) {
        std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
        in_end_ -= in_begin_;
        in_begin_ = 0;
    }
    if (in_.size() - in_end_ < read_bytes / 2) in_.resize(in_.size() * 2);
}

void Session::take_frames() {
    if (taking_) return;
    taking_ = true;
    while (!paused_ && phase_ != Phase::closed && in_end_ - in_begin_ >= length_bytes) {
        const std::uint8_t* at = in_.data() + in_begin_;
        std::size_t length = read_length(at);
        if (length > options_.frame_bytes_max) {
            links_->oversized(*this, length);
            close("a frame of " + std::to_string(length) + " bytes was announced, the bound is " +
                  std::to_string(options_.frame_bytes_max));
            break;
        }
        if (in_end_ - in_begin_ < length_bytes + length) break;
        Bytes frame(at + length_bytes, at + length_bytes + length);
        in_begin_ += length_bytes + length;
        last_in_ = steady_now();
        if (phase_ == Phase::first_frame) first_frame_came();
        if (frame.empty() || phase_ == Phase::closed) continue;
        ++counters_->frames_in;
        links_->received(*this, std::move(frame));
    }
    taking_ = false;
}

void Session::resume_reading() {
    if (!paused_) return;
    paused_ = false;
    last_in_ = steady_now();
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
        self->take_frames();
        self->read();
    });
}

// --- frames out
// ------------------------------------------------------------------------------------

bool Session::send(std::shared_ptr<const Bytes> frame) {
    if (phase_ == Phase::closed) return false;
    std::size_t size = frame->size() + length_bytes;
    bool full = queue_.size() >= options_.send_frames_max ||
                (!queue_.empty() && queue_bytes_ + size > options_.send_bytes_max);
    if (full) {
        ++counters_->dropped;
        return false;
    }
    queue_bytes_ += size;
    queue_.push_back(std::move(frame));
    flush_later();
    return true;
}

void Session::send_sign_of_life() {
    static const auto empty = std::make_shared<const Bytes>();
    send(empty);
}

// At the end of this turn of the loop: what one event of the host sends goes out in one write.
void Session::flush_later() {
    if (writing_ || flush_posted_) return;
    flush_posted_ = true;
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
        self->flush_posted_ = false;
        self->flush();
    });
}

void Session::flush() {
    if (writing_ || queue_.empty() || phase_ == Phase::closed) return;
    out_.clear();
    if (out_.capacity() > kept_buffer_bytes) out_ = Bytes();
    out_frames_ = 0;
    while (!queue_.empty() &&
           (out_.empty() || out_.size() + queue_.front()->size() <= write_bytes)) {
        const Bytes& frame = *queue_.front();
        append_length(out_, frame.size());
        out_.insert(out_.end(), frame.begin(), frame.end());
        queue_bytes_ -= frame.size() + length_bytes;
        if (!frame.empty()) ++out_frames_;
        queue_.pop_front();
    }
    writing_ = true;
    write_began_ = steady_now();
    asio::async_write(stream_, asio::buffer(out_),
                      [self = shared_from_this()](const error_code& code, std::size_t size) {
                          self->writing_ = false;
                          if (self->phase_ == Phase::closed) return;
                          if (code) return self->close(self->explain(code));
                          self->last_out_ = steady_now();
                          self->counters_->bytes_out += size;
                          self->counters_->frames_out += self->out_frames_;
                          self->flush();
                      });
}

// --- time
// ------------------------------------------------------------------------------------------

void Session::wait_until(Phase phase, Duration timeout, const char* what) {
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this(), phase, timeout, what](const error_code& code) {
        if (code || self->phase_ != phase) return;
        self->links_->timed_out();
        self->close(std::string(what) + " took longer than " + seconds(timeout));
    });
}

void Session::watch() {
    timer_.expires_after(options_.idle_timeout / 4);
    timer_.async_wait([self = shared_from_this()](const error_code& code) {
        if (code || self->phase_ != Phase::up) return;
        TimePoint now = steady_now();
        Duration bound = self->options_.idle_timeout;
        bool silent = !self->paused_ && now - self->last_in_ > bound;
        bool stuck = self->writing_ && now - self->write_began_ > bound;
        if (silent || stuck) {
            self->links_->timed_out();
            return self->close((silent ? "no frame within " : "nothing could be sent within ") +
                               seconds(bound));
        }
        if (!self->writing_ && now - self->last_out_ > bound / 3) self->send_sign_of_life();
        self->watch();
    });
}

// --- the end
// ---------------------------------------------------------------------------------------

void Session::shut() {
    phase_ = Phase::closed;
    timer_.cancel();
    error_code ignored;
    stream_.next_layer().close(ignored);
    counters_->dropped += static_cast<std::uint64_t>(
        std::ranges::count_if(queue_, [](const auto& frame) { return !frame->empty(); }));
    queue_.clear();
    queue_bytes_ = 0;
}

void Session::close(const std::string& reason) {
    if (phase_ == Phase::closed) return;
    auto self = shared_from_this();
    shut();
    counters_->last_error = reason;
    if (Links* links = std::exchange(links_, nullptr)) links->closed(self, reason);
}

void Session::abandon() {
    links_ = nullptr;
    if (phase_ != Phase::closed) shut();
}

LinkReport Session::report() const {
    LinkReport report = *counters_;
    report.dialled = dialled_;
    report.up = up();
    report.queued_frames = queue_.size();
    report.queued_bytes = queue_bytes_;
    if (up())
        report.rtt_us = round_trip_us(const_cast<Stream&>(stream_).lowest_layer().native_handle());
    return report;
}

}  // namespace bft::net
