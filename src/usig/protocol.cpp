#include "usig/protocol.hpp"

#include "base/secret_file.hpp"
#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::usig::protocol {

namespace {

constexpr std::size_t text_bytes_max = 1024;
constexpr std::size_t certificate_bytes_max = 1024;

struct Encoder {
    ByteWriter& out;

    void operator()(const Hello& m) { out.put(std::uint8_t{1}).put(m.version).raw(m.nonce.view()); }
    void operator()(const Attach& m) {
        out.put(std::uint8_t{2}).put(m.number).put(m.identity.value).raw(m.proof.view());
    }
    void operator()(const Create& m) {
        out.put(std::uint8_t{3}).put(m.number).put(m.identity.value).raw(m.digest.view());
    }
    void operator()(const Last& m) { out.put(std::uint8_t{4}).put(m.number).put(m.identity.value); }
    void operator()(const Done& m) { out.put(std::uint8_t{5}).put(m.number); }
    void put(const Certified& certified) {
        const auto& ui = certified.ui;
        out.raw(certified.digest.view());
        out.put(ui.cv.value).put(ui.voids).sized(ui.certificate);
    }
    void operator()(const Answer& m) {
        out.put(std::uint8_t{6}).put(m.number);
        put(m.certified);
    }
    void operator()(const Forsake& m) {
        out.put(std::uint8_t{9}).put(m.number).put(m.identity.value).put(m.cv.value);
    }
    void operator()(const Hole& m) {
        out.put(std::uint8_t{10}).put(m.number).put(m.cv.value);
        out.put(static_cast<std::uint8_t>(m.last ? 1 : 0));
        if (m.last) put(*m.last);
    }
    void operator()(const Nothing& m) { out.put(std::uint8_t{7}).put(m.number); }
    void operator()(const Failed& m) {
        const auto text = as_bytes(m.problem.what);
        out.put(std::uint8_t{8}).put(m.number).put(static_cast<std::uint8_t>(m.problem.code));
        out.sized(text.first(std::min(text.size(), text_bytes_max)));
    }
};

Certified decode_certified(ByteReader& in, bool& known) {
    Certified certified;
    in.fill(certified.digest.bytes);
    certified.ui.cv = Counter(in.get<std::uint64_t>());
    certified.ui.voids = in.get<std::uint32_t>();
    const auto certificate = in.sized();
    known = certificate.size() <= certificate_bytes_max;
    certified.ui.certificate = to_bytes(certificate);
    return certified;
}

Message decode_kind(std::uint8_t kind, ByteReader& in, bool& known) {
    const auto number = kind == 1 ? 0 : in.get<std::uint64_t>();
    switch (kind) {
        case 1: {
            Hello m;
            m.version = in.get<std::uint8_t>();
            in.fill(m.nonce.bytes);
            return m;
        }
        case 2: {
            Attach m{number, UsigId(in.get<std::uint32_t>()), {}};
            in.fill(m.proof.bytes);
            return m;
        }
        case 3: {
            Create m{number, UsigId(in.get<std::uint32_t>()), {}};
            in.fill(m.digest.bytes);
            return m;
        }
        case 4:
            return Last{number, UsigId(in.get<std::uint32_t>())};
        case 5:
            return Done{number};
        case 6:
            return Answer{number, decode_certified(in, known)};
        case 7:
            return Nothing{number};
        case 8: {
            Failed m{number, {}};
            const auto code = in.get<std::uint8_t>();
            known = code <= static_cast<std::uint8_t>(Errc::internal);
            m.problem.code = static_cast<Errc>(code);
            m.problem.what = as_text(in.sized());
            return m;
        }
        case 9: {
            const auto identity = UsigId(in.get<std::uint32_t>());
            return Forsake{number, identity, Counter(in.get<std::uint64_t>())};
        }
        case 10: {
            Hole m{number, Counter(in.get<std::uint64_t>()), {}};
            if (in.get<std::uint8_t>() != 0) m.last = decode_certified(in, known);
            return m;
        }
        default:
            known = false;
            return Done{};
    }
}

}  // namespace

Bytes encode(const Message& message) {
    ByteWriter payload;
    std::visit(Encoder{payload}, message);
    ByteWriter frame;
    frame.put(static_cast<std::uint32_t>(payload.bytes().size())).raw(payload.bytes());
    return frame.take();
}

std::optional<Message> decode(ByteView payload) {
    ByteReader in(payload);
    bool known = true;
    const auto kind = in.get<std::uint8_t>();
    auto message = decode_kind(kind, in, known);
    if (!known || !in.complete()) return std::nullopt;
    return message;
}

std::optional<std::size_t> frame_length(ByteView four) {
    const auto size = ByteReader(four).get<std::uint32_t>();
    if (size == 0 || size > frame_bytes_max) return std::nullopt;
    return size;
}

Digest proof(const Token& token, const Digest& nonce, UsigId identity) {
    const auto said = Digester("usig-attach").digest(nonce).u32(identity.value).finish();
    return hmac_sha256(token.view(), said.view());
}

Result<Token> new_token() {
    Token token;
    if (RAND_bytes(token.bytes.data(), static_cast<int>(token.bytes.size())) != 1)
        return error(Errc::internal, "no random bytes from OpenSSL");
    return token;
}

Result<Tokens> load_tokens(const std::filesystem::path& file) {
    struct ::stat status {};
    if (::stat(file.c_str(), &status) != 0)
        return error(Errc::not_found,
                     "USIG tokens file " + file.string() + ": " + std::strerror(errno));
    if (!is_closed(file, status.st_mode))
        return error(Errc::refused, "USIG tokens file " + file.string() +
                                        " is open to others; set its mode to 0600");
    std::ifstream in(file);
    Tokens out;
    std::size_t number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.empty() || line.front() == '#') continue;
        std::istringstream fields(line);
        std::uint32_t id = 0;
        std::string text;
        std::string more;
        fields >> id >> text;
        const auto bytes = from_hex(text);
        const auto token = bytes ? Digest::from(*bytes) : std::nullopt;
        if (!fields || (fields >> more) || !token || !out.emplace(UsigId(id), *token).second)
            return error(Errc::malformed, "USIG tokens file " + file.string() + ":" +
                                              std::to_string(number) +
                                              ": expected one line \"identity token\" each");
    }
    return out;
}

Result<void> save_tokens(const std::filesystem::path& file, const Tokens& tokens) {
    std::string text;
    for (const auto& [id, token] : tokens)
        text += std::to_string(id.value) + ' ' + hex(token) + '\n';
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error(Errc::io, "cannot create " + file.string() + ": " + std::strerror(errno));
    const bool written = ::write(fd, text.data(), text.size()) == std::ssize(text);
    ::close(fd);
    if (!written) return error(Errc::io, "cannot write " + file.string());
    return {};
}

}  // namespace bft::usig::protocol
