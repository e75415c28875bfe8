#include "usig/public_identity.hpp"

#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace bft::usig {

namespace {

constexpr std::uint16_t algorithm_sha256 = 0x000b;
constexpr std::size_t tpm_key_bytes = 88;
constexpr std::size_t tpm_counter_bytes = 46;
constexpr std::size_t software_key_bytes = 32;
constexpr std::size_t software_name_bytes = 16;

// TPMT_PUBLIC up to the point: ECC, nameAlg SHA-256, attributes fixedTPM | fixedParent |
// sensitiveDataOrigin | userWithAuth | noDA | restricted | sign and no other, empty policy,
// symmetric NULL, ECDSA with SHA-256, P-256, kdf NULL. Every bit counts: without `restricted` the
// key signs forged attestations, with `decrypt` or without fixedTPM it may exist elsewhere.
constexpr std::array<std::uint8_t, 20> attestation_key_template = {
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x04, 0x72, 0x00, 0x00,
    0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00, 0x03, 0x00, 0x10};

// TPMA_NV: AUTHWRITE | COUNTER | AUTHREAD | NO_DA | WRITTEN and no other. ORDERLY counters forget
// their maximum at TPM2_Clear; other kinds of index can be set to any value.
constexpr std::uint32_t counter_attributes = 0x22040014;

Bytes name_of(ByteView public_area) {
    return ByteWriter().put(algorithm_sha256).raw(sha256(public_area).view()).take();
}

Result<void> check_tpm_key(ByteView key) {
    if (key.size() != tpm_key_bytes)
        return error(Errc::malformed, "attestation key: not an ECC P-256 TPMT_PUBLIC of 88 bytes");
    if (!std::equal(attestation_key_template.begin(), attestation_key_template.end(), key.begin()))
        return error(Errc::refused,
                     "attestation key: not a restricted, fixedTPM, sensitiveDataOrigin, sign-only "
                     "ECDSA P-256 key of the required form");
    ByteReader in(key.subspan(attestation_key_template.size()));
    const bool point = in.sized().size() == 32 && in.sized().size() == 32 && in.complete();
    if (!point) return error(Errc::malformed, "attestation key: point coordinates of wrong size");
    return {};
}

Result<void> check_tpm_counter(ByteView counter) {
    ByteReader in(counter);
    const auto index = in.get<std::uint32_t>();
    const auto algorithm = in.get<std::uint16_t>();
    const auto attributes = in.get<std::uint32_t>();
    const auto policy = in.sized();
    const auto size = in.get<std::uint16_t>();
    if (counter.size() != tpm_counter_bytes || !in.complete() || policy.size() != 32)
        return error(Errc::malformed, "counter: not a TPMS_NV_PUBLIC of the required form");
    if ((index >> 24) != 0x01 || algorithm != algorithm_sha256 ||
        attributes != counter_attributes || size != 8)
        return error(Errc::refused,
                     "counter: not a written, non-orderly NV counter with AUTHREAD, AUTHWRITE and "
                     "NO_DA only");
    return {};
}

}  // namespace

std::string_view to_string(Scheme scheme) {
    return scheme == Scheme::tpm2_a4s ? "tpm2-a4s" : "software";
}

Bytes PublicIdentity::key_name() const {
    return name_of(key);
}

Bytes PublicIdentity::counter_name() const {
    return name_of(counter);
}

Digest PublicIdentity::epoch() const {
    return Digester("usig-epoch")
        .u8(static_cast<std::uint8_t>(scheme))
        .bytes(key_name())
        .bytes(counter_name())
        .u64(first_value)
        .finish();
}

std::uint32_t PublicIdentity::nv_index() const {
    return scheme == Scheme::tpm2_a4s ? ByteReader(counter).get<std::uint32_t>() : 0;
}

Result<void> PublicIdentity::check() const {
    if (scheme == Scheme::tpm2_a4s) {
        if (auto ok = check_tpm_key(key); !ok) return ok;
        return check_tpm_counter(counter);
    }
    if (scheme != Scheme::software) return error(Errc::malformed, "unknown USIG scheme");
    if (key.size() != software_key_bytes || counter.size() != software_name_bytes)
        return error(Errc::malformed, "software USIG identity: key or name of wrong size");
    return {};
}

std::string encode(const PublicIdentity& identity) {
    return std::string(to_string(identity.scheme)) + ':' + hex(identity.key) + ':' +
           hex(identity.counter) + ':' + std::to_string(identity.first_value);
}

Result<PublicIdentity> decode_public_identity(std::string_view line) {
    const auto bad = [](const char* what) {
        return error(Errc::malformed, std::string("USIG identity: ") + what +
                                          "; expected scheme:key:counter:first_value");
    };
    if (line.size() > 1024) return bad("too long");
    std::vector<std::string_view> fields;
    for (std::size_t start = 0; start <= line.size();) {
        const auto end = std::min(line.find(':', start), line.size());
        fields.push_back(line.substr(start, end - start));
        start = end + 1;
    }
    if (fields.size() != 4) return bad("not four fields");
    PublicIdentity identity;
    if (fields[0] == to_string(Scheme::tpm2_a4s))
        identity.scheme = Scheme::tpm2_a4s;
    else if (fields[0] == to_string(Scheme::software))
        identity.scheme = Scheme::software;
    else
        return bad("unknown scheme");
    auto key = from_hex(fields[1]);
    auto counter = from_hex(fields[2]);
    if (!key || !counter) return bad("not hexadecimal");
    identity.key = std::move(*key);
    identity.counter = std::move(*counter);
    const auto* end = fields[3].data() + fields[3].size();
    const auto number = std::from_chars(fields[3].data(), end, identity.first_value);
    if (number.ec != std::errc{} || number.ptr != end) return bad("first value is not a number");
    if (auto ok = identity.check(); !ok) return ok.error();
    return identity;
}

}  // namespace bft::usig
