#include "node/newcomer.hpp"

#include "base/log.hpp"
#include "wire/codec.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace bft::node {

using consensus::Endpoint;

namespace {

constexpr Duration ask_every = 200ms;
constexpr std::size_t length_size = 4;

// All or nothing, also when the power fails.
Result<void> write_durably(const std::filesystem::path& file, const Bytes& bytes) {
    const std::string next = file.string() + ".new";
    auto failed = [&] {
        return error(Errc::io, "cannot write " + file.string() + ": " + std::strerror(errno));
    };
    const int descriptor = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) return failed();
    bool good = true;
    for (std::size_t at = 0; good && at < bytes.size();) {
        const ssize_t written = ::write(descriptor, bytes.data() + at, bytes.size() - at);
        good = written > 0 || (written < 0 && errno == EINTR);
        if (written > 0) at += static_cast<std::size_t>(written);
    }
    good = good && ::fsync(descriptor) == 0;
    ::close(descriptor);
    if (!good || ::rename(next.c_str(), file.c_str()) != 0) return failed();
    const int folder = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || ::fsync(folder) != 0) return failed();
    ::close(folder);
    return {};
}

}  // namespace

Newcomer::Newcomer(boost::asio::io_context& loop, boost::asio::ssl::context& tls, Members& members,
                   consensus::SignatureChecker& checker, Bytes own_key, std::filesystem::path chain)
    : loop_(loop),
      tls_(tls),
      members_(members),
      checker_(checker),
      own_key_(std::move(own_key)),
      file_(std::move(chain)),
      directory_(members.directory(checker)),
      history_(members.genesis()) {}

Newcomer::~Newcomer() {
    if (links_) links_->close();
}

bool Newcomer::is_member() const {
    auto self = members_.host_of_key(own_key_);
    return self && directory_->takes_part(*self);
}

Result<void> Newcomer::load() {
    std::ifstream in(file_, std::ios::binary);
    if (!in) return {};
    const Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const Error damaged =
        error(Errc::malformed, file_.string() + " is damaged; delete it, and it is fetched again");
    for (ByteView rest = bytes; !rest.empty();) {
        std::size_t size = 0;
        if (rest.size() < length_size) return damaged;
        for (std::size_t i = 0; i < length_size; ++i) size = size << 8 | rest[i];
        rest = rest.subspan(length_size);
        if (size > rest.size()) return damaged;
        auto record = wire::decode_record(rest.first(size));
        const auto* barrier = record ? std::get_if<consensus::BarrierRecord>(&*record) : nullptr;
        // In nobody's name: its signatures count.
        if (barrier == nullptr || !take({Endpoint::primary(PrimaryId(0)), {}, barrier->barrier}))
            return damaged;
        rest = rest.subspan(size);
    }
    return {};
}

Result<void> Newcomer::save() const {
    Bytes bytes;
    for (const consensus::BarrierCertPtr& barrier : barriers_) {
        const Bytes record = wire::encode_record(consensus::BarrierRecord{barrier});
        for (std::size_t i = length_size; i-- > 0;)
            bytes.push_back(static_cast<std::uint8_t>(record.size() >> (8 * i)));
        bytes.insert(bytes.end(), record.begin(), record.end());
    }
    return write_durably(file_, bytes);
}

Result<void> Newcomer::dial() {
    net::LinkOptions options;
    options.name = "newcomer";
    links_ = std::make_unique<net::Links>(
        loop_, tls_, options,
        net::LinkCallbacks{
            [this](ByteView key) { return directory_->peers().find(key).has_value(); },
            [this](ByteView key, Bytes frame) { on_frame(key, frame); },
            {},
            {}});
    for (const auto& [host, entry] : members_.hosts())
        if (const Bytes* key = directory_->peers().key_of(host); key != nullptr && *key != own_key_)
            if (auto dialled = links_->dial(*key, entry.address); !dialled)
                log::warn("host_not_dialled host={} what=\"{}\"", entry.name, dialled.error().what);
    return {};
}

// Members that know us talk to us under the name of our seat. That is how we learn whom to ask, and
// as whom: nothing else of it counts.
void Newcomer::on_frame(ByteView key, const Bytes& frame) {
    if (failure_ || is_member()) return;
    auto message = wire::decode(frame);
    auto peer = directory_->peers().find(key);
    if (!message || !peer || !directory_->peers().may_speak(*peer, message->from)) return;
    if (std::holds_alternative<consensus::BarrierCertPtr>(message->payload) && take(*message)) {
        if (auto saved = save(); !saved) failure_ = saved.error();
        asked_.erase(to_bytes(key));
    }
    if (!is_member()) ask(key, *message);
}

void Newcomer::ask(ByteView key, const consensus::Message& heard) {
    if (heard.from.role != Endpoint::Role::replica || heard.to.role == Endpoint::Role::client)
        return;
    const TimePoint now = clock_.now().mono;
    auto [asked, first] = asked_.try_emplace(to_bytes(key), now);
    if (!first && now - asked->second < ask_every) return;
    asked->second = now;
    links_->send(key,
                 std::make_shared<const Bytes>(wire::encode(
                     {heard.to, heard.from, consensus::FetchConfig{history_.newest().version}})));
}

bool Newcomer::take(const consensus::Message& message) {
    const auto& barrier = std::get<consensus::BarrierCertPtr>(message.payload);
    if (!barrier || barrier->config->version <= history_.newest().version) return false;
    if (auto verified = directory_->verifier().verify(message); !verified) {
        log::warn("barrier_refused version={} what=\"{}\"", barrier->config->version.value,
                  verified.error().what);
        return false;
    }
    if (!history_.skip_to(barrier)) return false;
    barriers_.push_back(barrier);
    members_.follow(*barrier->config);
    directory_ = members_.directory(checker_);
    return true;
}

}  // namespace bft::node
