#include "wire/parts.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>
#include <bit>
#include <map>

namespace bft::wire {

using namespace consensus;

namespace {

// `value` as an E if it is one of the enumerators that `known` recognizes.
template <class E, class Known>
std::optional<E> enumerator(std::uint32_t value, Known known) {
    if (value > 255 || !known(static_cast<E>(value))) return std::nullopt;
    return static_cast<E>(value);
}

std::optional<Endpoint::Role> endpoint_role(std::uint32_t value) {
    return enumerator<Endpoint::Role>(value, [](Endpoint::Role role) {
        switch (role) {
            case Endpoint::Role::primary:
            case Endpoint::Role::replica:
            case Endpoint::Role::voter:
            case Endpoint::Role::client:
                return true;
        }
        return false;
    });
}

std::optional<StreamId::Kind> stream_kind(std::uint32_t value) {
    return enumerator<StreamId::Kind>(value, [](StreamId::Kind kind) {
        switch (kind) {
            case StreamId::Kind::ordering:
            case StreamId::Kind::vote:
                return true;
        }
        return false;
    });
}

}  // namespace

std::optional<Outcome> outcome_of(std::uint32_t value) {
    return enumerator<Outcome>(value, [](Outcome outcome) {
        switch (outcome) {
            case Outcome::ok:
            case Outcome::aborted:
            case Outcome::duplicate:
                return true;
        }
        return false;
    });
}

std::optional<EntryKind> entry_kind(std::uint32_t value) {
    return enumerator<EntryKind>(value, [](EntryKind kind) {
        switch (kind) {
            case EntryKind::transaction:
            case EntryKind::config:
                return true;
        }
        return false;
    });
}

std::optional<ItemKind> item_kind(std::uint32_t value) {
    return enumerator<ItemKind>(value, [](ItemKind kind) {
        switch (kind) {
            case ItemKind::transaction:
            case ItemKind::nop:
            case ItemKind::checkpoint:
            case ItemKind::config:
                return true;
        }
        return false;
    });
}

// --- digests
// ---------------------------------------------------------------------------------------

std::string write_digests(const std::vector<Digest>& digests) {
    std::string out;
    out.reserve(digests.size() * sizeof(Digest::bytes));
    for (const Digest& digest : digests) out += as_text(digest.view());
    return out;
}

Fault read(const std::string& in, Digest& out) {
    std::optional<Digest> digest = Digest::from(view(in));
    if (!digest) return "a digest has not 32 bytes";
    out = *digest;
    return nullptr;
}

Fault read_digests(const std::string& in, std::vector<Digest>& out) {
    constexpr std::size_t size = sizeof(Digest::bytes);
    if (in.size() % size != 0) return "a digest has not 32 bytes";
    out.resize(in.size() / size);
    for (std::size_t i = 0; i < out.size(); ++i)
        std::ranges::copy(view(in).subspan(i * size, size), out[i].bytes.begin());
    return nullptr;
}

// --- endpoints, certificates, streams
// --------------------------------------------------------------

void write(const Endpoint& in, pb::Endpoint* out) {
    out->set_role(static_cast<std::uint32_t>(in.role));
    out->set_group(in.group.value);
    out->set_index(in.index);
    out->set_client(in.client.value);
}

Fault read(const pb::Endpoint& in, Endpoint& out) {
    std::optional<Endpoint::Role> role = endpoint_role(in.role());
    if (!role) return "unknown role";
    // Fields that do not count for a role are zero, so that equal endpoints compare equal.
    const bool client = *role == Endpoint::Role::client;
    if ((*role != Endpoint::Role::replica && in.group() != 0) || (client && in.index() != 0) ||
        (!client && in.client() != 0))
        return "an endpoint has a field that its role has not";
    out = {*role, GroupId(in.group()), in.index(), ClientId(in.client())};
    return nullptr;
}

void write(const Ui& in, pb::Ui* out) {
    out->set_cv(in.cv.value);
    out->set_voids(in.voids);
    out->set_certificate(text(in.certificate));
}

Fault read(const pb::Ui& in, Ui& out) {
    out.cv = Counter(in.cv());
    out.voids = in.voids();
    out.certificate = to_bytes(view(in.certificate()));
    return nullptr;
}

void write(const StreamId& in, pb::StreamId* out) {
    out->set_kind(static_cast<std::uint32_t>(in.kind));
    out->set_primary(in.primary.value);
    out->set_group(in.group.value);
    out->set_position(in.position.value);
}

Fault read(const pb::StreamId& in, StreamId& out) {
    std::optional<StreamId::Kind> kind = stream_kind(in.kind());
    if (!kind) return "unknown kind of stream";
    const bool ordering = *kind == StreamId::Kind::ordering;
    if (ordering ? in.group() != 0 || in.position() != 0 : in.primary() != 0)
        return "a stream has a field that its kind has not";
    out = {*kind, PrimaryId(in.primary()), GroupId(in.group()), Position(in.position())};
    return nullptr;
}

// --- requests
// --------------------------------------------------------------------------------------

void write(const Request& in, pb::Request* out) {
    out->set_raw(text(in.raw));
    out->set_bundle_index(in.bundle_index);
    out->set_bundle_count(in.bundle_count);
    const RequestProof proof = proof_of(in);
    out->set_bundle_path(write_digests(proof.path));
    out->set_signature(text(proof.signature));
    out->set_receipt(in.receipt);
}

namespace {

/// Those of one bundle, by place in it.
using Part = std::vector<const Request*>;

// The digests of the others cost less than a path for each.
bool worth_a_bundle(const Part& part) {
    const std::size_t all = part.front()->bundle->tree.leaves().size();
    const std::size_t path = static_cast<std::size_t>(std::bit_width(all));
    return part.size() > 1 && all - part.size() <= part.size() * (path + 2);
}

void write_bundle(const Part& part, pb::Bundle* out) {
    const SignedBundle& bundle = *part.front()->bundle;
    const std::vector<Digest>& rds = bundle.tree.leaves();
    out->set_signature(text(bundle.signature));
    out->set_count(static_cast<std::uint32_t>(rds.size()));
    const bool whole = part.size() == rds.size();
    std::size_t bytes = 0;
    for (const Request* request : part) bytes += request->raw.size();
    out->mutable_raws()->reserve(bytes);
    out->mutable_lengths()->Reserve(static_cast<int>(part.size()));
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < part.size(); ++i) {
        const Request& request = *part[i];
        out->add_lengths(static_cast<std::uint32_t>(request.raw.size()));
        *out->mutable_raws() += as_text(request.raw);
        if (request.receipt) out->add_receipts(i);
        if (whole) continue;
        out->add_places(request.bundle_index);
        for (; next < request.bundle_index; ++next)
            *out->mutable_others() += as_text(rds[next].view());
        ++next;
    }
    if (whole) return;
    for (; next < rds.size(); ++next) *out->mutable_others() += as_text(rds[next].view());
}

// The raws and their rds; the digests of those that are not here fill the other places.
Fault read_places(const pb::Bundle& in, std::vector<std::uint32_t>& places,
                  std::vector<Digest>& rds) {
    const auto here = static_cast<std::uint32_t>(in.lengths_size());
    const bool whole = in.places_size() == 0;
    if (in.count() == 0 || in.count() > message_limits.bundle_count || here == 0 ||
        here > in.count() || (whole && here != in.count()) ||
        (!whole && in.places_size() != in.lengths_size()))
        return "a bundle has more or fewer requests than its columns";
    std::vector<Digest> others;
    if (Fault fault = read_digests(in.others(), others)) return fault;
    if (others.size() != in.count() - here) return "a bundle lacks digests of the other requests";
    rds.resize(in.count());
    places.reserve(here);
    std::size_t other = 0;
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < here; ++i, ++next) {
        const std::uint32_t place = whole ? i : in.places(static_cast<int>(i));
        if (place < next || place >= in.count()) return "the places of a bundle do not increase";
        while (next < place) {
            if (other == others.size()) return "a bundle lacks digests of the other requests";
            rds[next++] = others[other++];
        }
        places.push_back(place);
    }
    while (next < in.count()) rds[next++] = others[other++];
    return nullptr;
}

Fault read_bundle(const pb::Bundle& in, std::vector<Body>& out) {
    std::vector<std::uint32_t> places;
    std::vector<Digest> rds;
    if (Fault fault = read_places(in, places, rds)) return fault;
    std::vector<std::shared_ptr<Request>> requests;
    requests.reserve(places.size());
    ByteView rest = view(in.raws());
    for (std::size_t i = 0; i < places.size(); ++i) {
        const std::uint32_t length = in.lengths(static_cast<int>(i));
        if (length < raw_bytes_min || length > raw_bytes_max || length > rest.size())
            return "a request of a bundle is shorter or longer than its bounds";
        auto request = std::make_shared<Request>();
        if (Fault fault = read_content(rest.first(length), *request)) return fault;
        request->raw = to_bytes(rest.first(length));
        request->rd = request_digest(request->raw);
        request->bundle_index = places[i];
        request->bundle_count = in.count();
        rds[places[i]] = request->rd;
        rest = rest.subspan(length);
        requests.push_back(std::move(request));
    }
    if (!rest.empty()) return "a bundle has bytes of no request";
    for (const std::uint32_t receipt : in.receipts()) {
        if (receipt >= requests.size()) return "a receipt is wanted of no request";
        requests[receipt]->receipt = true;
    }
    auto bundle = std::make_shared<const SignedBundle>(
        SignedBundle{MerkleTree(std::move(rds)), to_bytes(view(in.signature()))});
    for (auto& request : requests) {
        request->bundle = bundle;
        out.push_back(std::move(request));
    }
    return nullptr;
}

}  // namespace

void write(const std::vector<Body>& in, pb::Bodies* out) {
    std::map<const SignedBundle*, Part> parts;
    std::vector<const SignedBundle*> order;
    for (const Body& body : in) {
        invariant(body != nullptr, "a body that is sent exists");
        if (!body->bundle || body->bundle_index >= body->bundle->tree.leaves().size()) {
            write(*body, out->add_bodies());
            continue;
        }
        Part& part = parts[body->bundle.get()];
        if (part.empty()) order.push_back(body->bundle.get());
        part.push_back(body.get());
    }
    const auto place = [](const Request* request) { return request->bundle_index; };
    for (const SignedBundle* each : order) {
        Part& part = parts[each];
        std::ranges::sort(part, {}, place);
        // The same request twice is not a bundle's business.
        const bool unique = std::ranges::adjacent_find(part, {}, place) == part.end();
        if (unique && worth_a_bundle(part))
            write_bundle(part, out->add_bundles());
        else
            for (const Request* request : part) write(*request, out->add_bodies());
    }
}

Fault read(const pb::Bodies& in, std::vector<Body>& out) {
    auto count = static_cast<std::size_t>(in.bodies_size());
    for (const pb::Bundle& bundle : in.bundles())
        count += static_cast<std::size_t>(bundle.lengths_size());
    if (count > slot_bodies_max) return "more bodies than a slot has";
    out.reserve(count);
    for (const pb::Request& request : in.bodies())
        if (Fault fault = read(request, out.emplace_back())) return fault;
    for (const pb::Bundle& bundle : in.bundles())
        if (Fault fault = read_bundle(bundle, out)) return fault;
    return nullptr;
}

namespace {

// Of bytes that passed check_shape(): nothing in them is unfinished.
std::uint64_t take_number(ByteView& rest) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !rest.empty(); shift += 7) {
        const std::uint8_t byte = rest.front();
        rest = rest.subspan(1);
        value |= std::uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) break;
    }
    return value;
}

ByteView take_bytes(ByteView& rest) {
    const std::uint64_t size = take_number(rest);
    const ByteView taken = rest.first(static_cast<std::size_t>(size));
    rest = rest.subspan(taken.size());
    return taken;
}

}  // namespace

// By hand: every node reads every request, and protobuf's object for it takes four times as long.
Fault read_content(ByteView raw, Request& out) {
    if (Fault fault = check_shape(raw, request_content_shape)) return fault;
    using Content = pb::RequestContent;
    for (ByteView rest = raw; !rest.empty();) {
        switch (static_cast<int>(take_number(rest) >> 3)) {
            case Content::kClientFieldNumber:
                out.id.client = ClientId(take_number(rest));
                break;
            case Content::kHomeFieldNumber:
                out.id.home = PartitionId(static_cast<std::uint32_t>(take_number(rest)));
                break;
            case Content::kCseqFieldNumber:
                out.id.cseq = ClientSeq(take_number(rest));
                break;
            case Content::kAckLowFieldNumber:
                out.ack_low = ClientSeq(take_number(rest));
                break;
            case Content::kPartsFieldNumber:
                for (ByteView parts = take_bytes(rest); !parts.empty();)
                    out.parts.emplace_back(static_cast<std::uint32_t>(take_number(parts)));
                break;
            case Content::kReadOnlyFieldNumber:
                out.read_only = take_number(rest) != 0;
                break;
            case Content::kOpFieldNumber:
                out.op = to_bytes(take_bytes(rest));
                break;
            case Content::kKeyFieldNumber:
                out.key = take_number(rest);
                break;
            default:
                return "a field of a request that its shape has not";
        }
    }
    return nullptr;
}

Fault read(const pb::Request& in, Body& out) {
    auto request = std::make_shared<Request>();
    if (Fault fault = read_content(view(in.raw()), *request)) return fault;
    request->raw = to_bytes(view(in.raw()));
    request->rd = request_digest(request->raw);
    request->bundle_index = in.bundle_index();
    request->bundle_count = in.bundle_count();
    if (Fault fault = read_digests(in.bundle_path(), request->bundle_path)) return fault;
    request->signature = to_bytes(view(in.signature()));
    request->receipt = in.receipt();
    out = std::move(request);
    return nullptr;
}

// --- headers
// ---------------------------------------------------------------------------------------

void write(const Header& in, pb::Header* out) {
    out->set_slot(in.slot.value);
    out->set_previous(text(in.previous.view()));
    out->set_ts_ms(in.ts_ms);
    std::string* rds = out->mutable_rds();
    rds->reserve(in.entries.size() * sizeof(Digest::bytes));
    for (const EntryHeader& entry : in.entries) {
        out->add_clients(entry.rid.client.value);
        out->add_homes(entry.rid.home.value);
        out->add_cseqs(entry.rid.cseq.value);
        out->add_kinds(static_cast<std::uint32_t>(entry.kind));
        *rds += as_text(entry.rd.view());
        out->add_part_counts(static_cast<std::uint32_t>(entry.parts.size()));
        for (PartitionId part : entry.parts) out->add_parts(part.value);
    }
}

Fault read(const pb::Header& in, HeaderPtr& out) {
    auto header = std::make_shared<Header>();
    header->slot = Slot(in.slot());
    header->ts_ms = in.ts_ms();
    if (Fault fault = read(in.previous(), header->previous)) return fault;
    std::vector<Digest> rds;
    if (Fault fault = read_digests(in.rds(), rds)) return fault;
    const int count = in.clients_size();
    if (in.homes_size() != count || in.cseqs_size() != count || in.kinds_size() != count ||
        in.part_counts_size() != count || rds.size() != static_cast<std::size_t>(count))
        return "the columns of a header differ in length";
    header->entries.resize(rds.size());
    auto part = in.parts().begin();
    for (int i = 0; i < count; ++i) {
        EntryHeader& entry = header->entries[static_cast<std::size_t>(i)];
        std::optional<EntryKind> kind = entry_kind(in.kinds(i));
        if (!kind) return "unknown kind of entry";
        entry.kind = *kind;
        entry.rid = {ClientId(in.clients(i)), PartitionId(in.homes(i)), ClientSeq(in.cseqs(i))};
        entry.rd = rds[static_cast<std::size_t>(i)];
        const std::uint32_t parts = in.part_counts(i);
        if (parts > message_limits.parts_per_request || parts > in.parts().end() - part)
            return "a header's entries have more or fewer partitions than its column";
        entry.parts.reserve(parts);
        for (std::uint32_t k = 0; k < parts; ++k) entry.parts.emplace_back(*part++);
    }
    if (part != in.parts().end()) return "a header has partitions of no entry";
    out = std::move(header);
    return nullptr;
}

// --- certified messages
// ----------------------------------------------------------------------------

void write(const Prepare& in, pb::Prepare* out) {
    out->set_view(in.view.value);
    out->set_slot(in.slot.value);
    out->set_hd(text(in.hd.view()));
    write(in.ui, out->mutable_ui());
    if (in.header) write(*in.header, out->mutable_header());
}

Fault read(const pb::Prepare& in, Prepare& out) {
    out.view = View(in.view());
    out.slot = Slot(in.slot());
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read(in.ui(), out.ui)) return fault;
    return in.has_header() ? read(in.header(), out.header) : nullptr;
}

void write(const Commit& in, pb::Commit* out) {
    out->set_group(in.group.value);
    out->set_position(in.position.value);
    out->set_view(in.view.value);
    out->set_to(in.to.value);
    out->set_hd(text(in.hd.view()));
    out->set_nvd(text(in.nvd.view()));
    invariant(in.prepare.header == nullptr, "a COMMIT carries its PREPARE in the compact form");
    write(in.prepare, out->mutable_prepare());
    write(in.ui, out->mutable_ui());
    out->set_from_new_view(in.from_new_view);
}

Fault read(const pb::Commit& in, Commit& out) {
    out.group = GroupId(in.group());
    out.position = Position(in.position());
    out.view = View(in.view());
    out.to = Slot(in.to());
    out.from_new_view = in.from_new_view();
    if (Fault fault = read(in.hd(), out.hd)) return fault;
    if (Fault fault = read(in.nvd(), out.nvd)) return fault;
    if (Fault fault = read(in.prepare(), out.prepare)) return fault;
    return read(in.ui(), out.ui);
}

// --- results
// ---------------------------------------------------------------------------------------

void write(const ItemResult& in, pb::ItemResult* out) {
    out->set_index(in.index);
    out->set_client(in.rid.client.value);
    out->set_home(in.rid.home.value);
    out->set_cseq(in.rid.cseq.value);
    out->set_outcome(static_cast<std::uint32_t>(in.outcome));
    out->set_code(in.code);
    out->set_rdig(text(in.rdig.view()));
    if (in.has_result) out->set_result(text(in.result));
}

Fault read(const pb::ItemResult& in, ItemResult& out) {
    std::optional<Outcome> outcome = outcome_of(in.outcome());
    if (!outcome) return "unknown outcome";
    out.index = in.index();
    out.rid = {ClientId(in.client()), PartitionId(in.home()), ClientSeq(in.cseq())};
    out.outcome = *outcome;
    out.code = in.code();
    out.has_result = in.has_result();
    out.result = to_bytes(view(in.result()));
    return read(in.rdig(), out.rdig);
}

}  // namespace bft::wire
