#include "adversary_oracle.hpp"

#include <algorithm>

namespace bft::usig::test {

namespace {

using Kind = Logged::Kind;

bool is_read(const Logged& entry) {
    return entry.kind == Kind::certify && entry.qualifying.empty();
}
bool is_digest(const Logged& entry) {
    return entry.kind == Kind::certify && entry.qualifying.size() == 32;
}

}  // namespace

const char* name_of(Check check) {
    switch (check) {
        case Check::real:
            return "real";
        case Check::no_first_read:
            return "no_first_read";
        case Check::any_first_read:
            return "any_first_read";
        case Check::loose_end:
            return "loose_end";
        case Check::audit_qualifying:
            return "audit_qualifying";
        case Check::uncounted_void:
            return "uncounted_void";
    }
    return "?";
}

Oracle::Oracle(const PublicIdentity& identity)
    : identity_(identity), prepared_(PreparedIdentity::prepare(identity).value()) {
    beliefs_[Check::real];
    for (const auto check : weakened) beliefs_[check];
}

void Oracle::submit(const Attestation& attestation) {
    ++submitted_;
    submit_real(attestation);
    for (const auto check : weakened) submit_weak(check, attestation);
}

void Oracle::believe(Check check, std::uint64_t value, const Digest& digest, std::uint64_t voids) {
    auto& beliefs = beliefs_.at(check);
    const auto [known, added] = beliefs.digests.emplace(value, digest);
    for (std::uint64_t i = 1; i <= voids; ++i) beliefs.voids.insert(value - i);
    const bool two_digests = !added && known->second != digest;
    const bool void_and_digest = std::ranges::any_of(
        beliefs.voids, [&](std::uint64_t v) { return beliefs.digests.contains(v); });
    if (!two_digests && !void_and_digest) return;
    beliefs.broken = true;
    beliefs.story = std::string(two_digests ? "two digests" : "void and certified") + " at value " +
                    std::to_string(value);
}

void Oracle::submit_real(const Attestation& attestation) {
    if (attestation.log.empty()) return;
    // All that one can claim about it: any digest that occurs, any number of increments.
    const auto plain = Attacker::claim(identity_, attestation);
    auto parts = a4s::Certificate::decode(plain.certificate).value();
    const auto increments = parts.increments;
    for (const auto& last : attestation.log) {
        if (!is_digest(last)) continue;
        for (const int more : {-1, 0, 1}) {
            const int k = increments + more;
            if (k < 1) continue;
            parts.increments = static_cast<std::uint16_t>(k);
            parts.after = last.stamp;
            parts.value = last.value;
            const consensus::Ui ui{Counter(last.value - identity_.first_value),
                                   static_cast<std::uint32_t>(k) - 1, parts.encode()};
            const auto digest = Digest::from(last.qualifying).value();
            if (prepared_.verify(ui, digest)) believe(Check::real, last.value, digest, ui.voids);
        }
    }
}

// The weakened verifiers see the whole log; that it is the signed one is what the TPM promises, and
// the rig keeps it faithfully, so only what they conclude differs.
void Oracle::submit_weak(Check check, const Attestation& attestation) {
    const auto& log = attestation.log;
    if (log.size() < 2) return;
    const auto increments =
        static_cast<std::uint64_t>(std::ranges::count(log, Kind::increment, &Logged::kind));
    const auto& first = log.front();
    const auto& last = log.back();
    const auto plain = [&](std::size_t from, std::size_t to) {
        return from < to && std::all_of(log.begin() + static_cast<std::ptrdiff_t>(from),
                                        log.begin() + static_cast<std::ptrdiff_t>(to),
                                        [](const Logged& e) { return e.kind == Kind::increment; });
    };
    const auto size = log.size();
    if (check == Check::audit_qualifying) {
        if (attestation.qualifying.size() != 32 || size != 3 || !is_read(first) || !plain(1, 2) ||
            !is_read(last) || last.value != first.value + 1)
            return;
        return believe(check, last.value, Digest::from(attestation.qualifying).value(), 0);
    }
    if (!is_digest(last)) return;
    const auto digest = Digest::from(last.qualifying).value();
    switch (check) {
        case Check::no_first_read:
            if (plain(0, size - 1)) believe(check, last.value, digest, increments - 1);
            break;
        case Check::any_first_read:
            if (is_read(first) && size == 3 && plain(1, 2)) believe(check, last.value, digest, 0);
            break;
        case Check::loose_end:
            if (is_read(first) && size > 3 && plain(1, 2) && last.value == first.value + 1 &&
                std::all_of(log.begin() + 2, log.end(),
                            [](const Logged& e) { return e.kind == Kind::certify; }))
                believe(check, last.value, digest, 0);
            break;
        case Check::uncounted_void:
            if (is_read(first) && plain(1, size - 1) && last.value > first.value)
                believe(check, last.value, digest, last.value - first.value - 1);
            break;
        default:
            break;
    }
}

}  // namespace bft::usig::test
