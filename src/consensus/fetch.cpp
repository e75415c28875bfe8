#include "consensus/fetch.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace bft::consensus {

namespace {

std::size_t rough_size(const Prepare& prepare) {
    return 256 + (prepare.header ? prepare.header->entries.size() * 96 : 0);
}

std::size_t rough_size(const Commit& commit) {
    return 256 + commit.ui.certificate.size() + commit.prepare.ui.certificate.size();
}

std::size_t rough_size(const ViewChange& change) {
    return 4096 + change.log.size() * 512;
}

// One certified message into the answer; false when the log does not hold it.
bool add(const LogReader& log, Counter cv, Certificates& found, std::size_t& bytes) {
    if (auto cert = log.void_cert(found.stream, cv)) {
        bytes += cert->promises.size() * 128;
        found.voids.push_back(std::move(*cert));
        return true;
    }
    if (found.stream.kind == StreamId::Kind::ordering) {
        if (auto prepare = log.prepare(found.stream.primary, cv)) {
            bytes += rough_size(*prepare);
            cv = prepare->ui.cv;
            found.prepares.push_back(std::move(*prepare));
        } else if (auto new_view = log.new_view(found.stream.primary, cv)) {
            bytes += 512 + new_view->nullset.size() * 12 + new_view->view_changes.size() * 56;
            found.new_views.push_back(std::move(*new_view));
        } else {
            return false;
        }
    } else if (auto commit = log.vote(found.stream.group, found.stream.position, cv)) {
        bytes += rough_size(*commit);
        found.commits.push_back(std::move(*commit));
    } else if (auto change = log.view_change(found.stream.group, found.stream.position, cv)) {
        bytes += rough_size(*change);
        found.view_changes.push_back(std::move(change));
    } else {
        return false;
    }
    return true;
}

// A message that proves voids is known by its own counter only, so values may be absent in between;
// the receiver sees from the certificates whether it has them all.
Certificates certificates(const LogReader& log, const FetchCertificates& fetch,
                          const FetchBounds& bounds) {
    constexpr std::uint64_t voids_max = 16;
    Certificates found;
    found.stream = fetch.stream;
    std::size_t bytes = 0;
    std::uint32_t messages = 0;
    std::uint64_t absent = 0;
    for (Counter cv = fetch.from; cv <= fetch.to && absent <= voids_max; cv = cv.next()) {
        if (messages >= bounds.messages || bytes >= bounds.bytes) break;
        if (add(log, cv, found, bytes)) {
            ++messages;
            absent = 0;
        } else {
            ++absent;
        }
    }
    return found;
}

Headers headers(const LogReader& log, const FetchHeaders& fetch, const FetchBounds& bounds) {
    Headers found;
    std::size_t bytes = 0;
    Digest hd = fetch.hd;
    for (Slot slot = fetch.to; slot >= fetch.from; slot = Slot(slot.value - 1)) {
        if (found.headers.size() >= bounds.messages || bytes >= bounds.bytes) break;
        HeaderPtr header = log.header(hd);
        if (!header || header->slot != slot) break;
        bytes += 256 + header->entries.size() * 96;
        hd = header->previous;
        found.headers.push_back(std::move(header));
    }
    std::reverse(found.headers.begin(), found.headers.end());
    return found;
}

ViewChanges view_changes(const LogReader& log, const FetchViewChanges& fetch,
                         const FetchBounds& bounds) {
    ViewChanges found;
    std::size_t bytes = 0;
    for (const ViewChangeRef& ref : fetch.wanted) {
        if (found.messages.size() >= bounds.messages || bytes >= bounds.bytes) break;
        if (auto change = log.view_change(ref.group, ref.position, ref.cv)) {
            bytes += rough_size(*change);
            found.messages.push_back(std::move(change));
        }
    }
    return found;
}

// Owners of a partition, now or before; and configurations are everybody's.
bool may_read(const Membership& membership, const LogReader& log, const Endpoint& asker,
              const Request& request) {
    PartitionId home = request.id.home;
    if (asker.role != Endpoint::Role::replica || home.value == 0) return true;
    return membership.owner(home) == asker.group || log.once_owned(asker.group, home);
}

Bodies bodies(const Membership& membership, const LogReader& log, const Endpoint& asker,
              const FetchBodies& fetch, const FetchBounds& bounds) {
    Bodies found;
    std::size_t bytes = 0;
    std::map<Slot, std::unordered_map<Digest, Body, DigestHash>> slots;
    auto find = [&](std::size_t i) -> Body {
        if (Body body = log.body(fetch.rds[i])) return body;
        if (fetch.slots.empty()) return nullptr;
        auto [slot, fresh] = slots.try_emplace(fetch.slots[i]);
        if (fresh && slots.size() <= bounds.slots)
            for (Body& body : log.bodies_of(slot->first)) slot->second.emplace(body->rd, body);
        auto body = slot->second.find(fetch.rds[i]);
        return body == slot->second.end() ? nullptr : body->second;
    };
    for (std::size_t i = 0; i < fetch.rds.size(); ++i) {
        if (found.bodies.size() >= bounds.messages || bytes >= bounds.bytes) break;
        if (Body body = find(i); body && may_read(membership, log, asker, *body)) {
            bytes += body->raw.size();
            found.bodies.push_back(std::move(body));
        }
    }
    return found;
}

}  // namespace

std::optional<Send> answer_fetch(const Membership& membership, const LogReader& log,
                                 const Verified& fetch, FetchBounds bounds) {
    if (const auto* wanted = std::get_if<FetchCertificates>(&fetch.payload())) {
        Certificates found = certificates(log, *wanted, bounds);
        if (found.prepares.empty() && found.commits.empty() && found.new_views.empty() &&
            found.view_changes.empty() && found.voids.empty()) {
            auto line = log.next_from(wanted->stream, wanted->from);
            if (!line) return std::nullopt;
            return Send{{fetch.from()}, Gone{wanted->stream, *line}};
        }
        return Send{{fetch.from()}, std::move(found)};
    }
    if (const auto* wanted = std::get_if<FetchBodies>(&fetch.payload())) {
        Bodies found = bodies(membership, log, fetch.from(), *wanted, bounds);
        if (found.bodies.empty()) return std::nullopt;
        return Send{{fetch.from()}, std::move(found)};
    }
    if (const auto* wanted = std::get_if<FetchHeaders>(&fetch.payload())) {
        Headers found = headers(log, *wanted, bounds);
        if (found.headers.empty()) return std::nullopt;
        return Send{{fetch.from()}, std::move(found)};
    }
    if (const auto* wanted = std::get_if<FetchViewCert>(&fetch.payload())) {
        ViewCertPtr cert = log.view_cert(wanted->nvd);
        if (!cert) return std::nullopt;
        return Send{{fetch.from()}, std::move(cert)};
    }
    if (const auto* wanted = std::get_if<FetchViewChanges>(&fetch.payload())) {
        ViewChanges found = view_changes(log, *wanted, bounds);
        if (found.messages.empty()) return std::nullopt;
        return Send{{fetch.from()}, std::move(found)};
    }
    return std::nullopt;
}

}  // namespace bft::consensus
