#include "consensus/fetch.hpp"

namespace bft::consensus {

namespace {

std::size_t rough_size(const Prepare& prepare) {
    return 256 + (prepare.header ? prepare.header->entries.size() * 96 : 0);
}

std::size_t rough_size(const Commit& commit) {
    return 256 + commit.ui.certificate.size() + commit.prepare.ui.certificate.size();
}

Certificates certificates(const LogReader& log, const FetchCertificates& fetch,
                          const FetchBounds& bounds) {
    Certificates found{fetch.stream, {}, {}};
    std::size_t bytes = 0;
    for (Counter cv = fetch.from; cv <= fetch.to; cv = cv.next()) {
        if (found.prepares.size() + found.commits.size() >= bounds.messages) break;
        if (bytes >= bounds.bytes) break;
        if (fetch.stream.kind == StreamId::Kind::ordering) {
            auto prepare = log.prepare(fetch.stream.primary, cv);
            if (!prepare) break;
            bytes += rough_size(*prepare);
            found.prepares.push_back(std::move(*prepare));
        } else {
            auto commit = log.vote(fetch.stream.group, fetch.stream.position, cv);
            if (!commit) break;
            bytes += rough_size(*commit);
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
