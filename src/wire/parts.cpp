#include "wire/parts.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"

#include <algorithm>

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

}  // namespace

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
    out->set_bundle_path(write_digests(in.bundle_path));
    out->set_signature(text(in.signature));
    out->set_receipt(in.receipt);
}

Fault read_content(ByteView raw, Request& out) {
    if (Fault fault = check_shape(raw, request_content_shape)) return fault;
    pb::RequestContent content;
    if (!content.ParseFromArray(raw.data(), static_cast<int>(raw.size())))
        return "protobuf cannot read a request";
    out.id = {ClientId(content.client()), PartitionId(content.home()), ClientSeq(content.cseq())};
    out.ack_low = ClientSeq(content.ack_low());
    out.parts.reserve(static_cast<std::size_t>(content.parts_size()));
    for (std::uint32_t part : content.parts()) out.parts.emplace_back(part);
    out.read_only = content.read_only();
    out.op = to_bytes(view(content.op()));
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
