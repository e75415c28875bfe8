#include "consensus/fetch.hpp"

namespace bft::consensus {

namespace {

std::size_t rough_size(const Prepare& prepare) {
    return 256 + (prepare.header ? prepare.header->entries.size() * 96 : 0);
}

std::size_t rough_size(const Commit& commit) {
    return 256 + commit.ui.certificate.size() + commit.prepare.ui.certificate.size();
}

// Values that a certificate proves void have no message: the next one stands for them.
constexpr std::uint64_t voids_max = 32;

/// What `at(cv)` finds at `from`, or the message after it that proves `from` and all between void.
template <class At>
auto next_certified(const At& at, Counter from) -> decltype(at(from)) {
    for (std::uint64_t skipped = 0; skipped <= voids_max; ++skipped)
        if (auto found = at(from + skipped)) {
            if (found->ui.voids >= skipped) return found;
            break;
        }
    return std::nullopt;
}

Certificates certificates(const LogReader& log, const FetchCertificates& fetch,
                          const FetchBounds& bounds) {
    Certificates found{fetch.stream, {}, {}};
    const StreamId& stream = fetch.stream;
    auto prepare_at = [&](Counter cv) { return log.prepare(stream.primary, cv); };
    auto vote_at = [&](Counter cv) { return log.vote(stream.group, stream.position, cv); };
    std::size_t bytes = 0;
    for (Counter cv = fetch.from; cv <= fetch.to; cv = cv.next()) {
        if (found.prepares.size() + found.commits.size() >= bounds.messages) break;
        if (bytes >= bounds.bytes) break;
        if (stream.kind == StreamId::Kind::ordering) {
            auto prepare = next_certified(prepare_at, cv);
            if (!prepare) break;
            bytes += rough_size(*prepare);
            cv = prepare->ui.cv;
            found.prepares.push_back(std::move(*prepare));
        } else {
            auto commit = next_certified(vote_at, cv);
            if (!commit) break;
            bytes += rough_size(*commit);
            cv = commit->ui.cv;
            found.commits.push_back(std::move(*commit));
        }
    }
    return found;
}

Bodies bodies(const LogReader& log, const FetchBodies& fetch, const FetchBounds& bounds) {
    Bodies found;
    std::size_t bytes = 0;
    for (const Digest& rd : fetch.rds) {
        if (found.bodies.size() >= bounds.messages || bytes >= bounds.bytes) break;
        if (Body body = log.body(rd)) {
            bytes += body->raw.size();
            found.bodies.push_back(std::move(body));
        }
    }
    return found;
}

}  // namespace

std::optional<Send> answer_fetch(const LogReader& log, const Verified& fetch, FetchBounds bounds) {
    if (const auto* wanted = std::get_if<FetchCertificates>(&fetch.payload())) {
        Certificates found = certificates(log, *wanted, bounds);
        if (found.prepares.empty() && found.commits.empty()) return std::nullopt;
        return Send{{fetch.from()}, std::move(found)};
    }
    if (const auto* wanted = std::get_if<FetchBodies>(&fetch.payload())) {
        Bodies found = bodies(log, *wanted, bounds);
        if (found.bodies.empty()) return std::nullopt;
        return Send{{fetch.from()}, std::move(found)};
    }
    return std::nullopt;
}

}  // namespace bft::consensus
