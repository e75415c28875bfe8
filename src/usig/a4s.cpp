#include "usig/a4s.hpp"

#include "base/sha256.hpp"
#include "usig/byte_writer.hpp"

#include <algorithm>

namespace bft::usig::a4s {

namespace {

constexpr std::uint32_t generated = 0xff544347;  // TPM_GENERATED_VALUE
constexpr std::uint16_t attest_nv = 0x8014;
constexpr std::uint16_t attest_session_audit = 0x8016;
constexpr std::uint32_t command_nv_increment = 0x00000134;
constexpr std::uint32_t command_nv_certify = 0x00000184;
constexpr std::uint32_t handle_null = 0x40000007;
constexpr std::uint16_t algorithm_null = 0x0010;
constexpr std::uint16_t counter_bytes = 8;
constexpr std::uint32_t success = 0;

}  // namespace

Bytes Certificate::encode() const {
    ByteWriter out;
    out.put(value).put(increments).put(exclusive);
    out.raw(before).raw(after).raw(audit).raw(r).raw(s);
    return out.take();
}

std::optional<Certificate> Certificate::decode(ByteView bytes) {
    if (bytes.size() != certificate_bytes) return std::nullopt;
    ByteReader in(bytes);
    Certificate c;
    c.value = in.get<std::uint64_t>();
    c.increments = in.get<std::uint16_t>();
    c.exclusive = in.get<std::uint8_t>();
    in.fill(c.before);
    in.fill(c.after);
    in.fill(c.audit);
    in.fill(c.r);
    in.fill(c.s);
    return c;
}

Bytes nv_attestation(ByteView counter_name, ByteView qualifying, std::uint64_t value,
                     const Stamp& stamp) {
    ByteWriter out;
    out.put(generated).put(attest_nv);
    out.sized(ByteWriter().put(handle_null).bytes());  // qualifiedSigner: the null key's handle
    out.sized(qualifying).raw(stamp);
    out.sized(counter_name).put(std::uint16_t{0});  // offset
    out.put(counter_bytes).put(value);
    return out.take();
}

Bytes audit_attestation(ByteView qualified_signer, const Digest& session, std::uint8_t exclusive,
                        const Stamp& stamp) {
    ByteWriter out;
    out.put(generated).put(attest_session_audit);
    out.sized(qualified_signer).sized({}).raw(stamp);
    out.put(exclusive).sized(session.view());
    return out.take();
}

AuditLog::AuditLog(ByteView counter_name)
    : name_(to_bytes(counter_name.first(std::min<std::size_t>(counter_name.size(), 34)))) {
    increment_command_ =
        sha256(ByteWriter().put(command_nv_increment).raw(name_).raw(name_).bytes());
    increment_response_ = sha256(ByteWriter().put(success).put(command_nv_increment).bytes());
}

void AuditLog::certify(ByteView qualifying, std::uint64_t value, const Stamp& stamp) {
    ByteWriter command;
    command.put(command_nv_certify).put(handle_null).raw(name_).raw(name_);
    command.sized(qualifying).put(algorithm_null).put(counter_bytes).put(std::uint16_t{0});
    ByteWriter response;
    response.put(success).put(command_nv_certify);
    response.sized(nv_attestation(name_, qualifying, value, stamp)).put(algorithm_null);
    extend(sha256(command.bytes()), sha256(response.bytes()));
}

void AuditLog::increment() {
    extend(increment_command_, increment_response_);
}

void AuditLog::extend(const Digest& command, const Digest& response) {
    digest_ =
        sha256(ByteWriter().raw(digest_.view()).raw(command.view()).raw(response.view()).bytes());
}

Digest session_digest(ByteView counter_name, const Certificate& certificate, const Digest& digest) {
    AuditLog log(counter_name);
    log.certify({}, certificate.value - certificate.increments, certificate.before);
    for (std::uint32_t i = 0; i < certificate.increments; ++i) log.increment();
    log.certify(digest.view(), certificate.value, certificate.after);
    return log.digest();
}

std::optional<Stamp> find_stamp(const AuditLog& log, const Digest& digest, std::uint64_t value,
                                const Stamp& before, const Stamp& audit, const Digest& session) {
    constexpr std::uint64_t search_ms = 600'000;
    const auto start = ByteReader(before).get<std::uint64_t>();
    const auto end = ByteReader(audit).get<std::uint64_t>();
    for (std::uint64_t clock = start; clock <= end && clock - start <= search_ms; ++clock) {
        Stamp stamp = before;
        const auto bytes = ByteWriter().put(clock).take();
        std::copy(bytes.begin(), bytes.end(), stamp.begin());
        AuditLog candidate = log;
        candidate.certify(digest.view(), value, stamp);
        if (candidate.digest() == session) return stamp;
    }
    return std::nullopt;
}

}  // namespace bft::usig::a4s
