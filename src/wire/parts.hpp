// The structures that several messages contain, to and from protobuf. write() takes what is ours
// and cannot fail; read() takes what passed check_shape(), and says what is wrong with the rest.
#pragma once

#include "consensus/messages.hpp"
#include "wire/limits.hpp"
#include "wire/shapes.hpp"

#include <bftnode/wire.pb.h>
#include <optional>
#include <string>
#include <vector>

namespace bft::wire {

namespace pb = ::bftnode::wire;

inline ByteView view(const std::string& text) {
    return as_bytes(text);
}
inline std::string text(ByteView bytes) {
    return std::string(as_text(bytes));
}

void write(const consensus::Endpoint& in, pb::Endpoint* out);
void write(const consensus::Ui& in, pb::Ui* out);
void write(const consensus::Request& in, pb::Request* out);
void write(const std::vector<consensus::Body>& in, pb::Bodies* out);
void write(const consensus::Header& in, pb::Header* out);
void write(const consensus::Prepare& in, pb::Prepare* out);
void write(const consensus::Commit& in, pb::Commit* out);
void write(const consensus::StreamId& in, pb::StreamId* out);
void write(const consensus::ItemResult& in, pb::ItemResult* out);
void write(const consensus::Checkpoint& in, pb::Checkpoint* out);
void write(const consensus::StableCert& in, pb::StableCert* out);
void write(const consensus::BarrierCert& in, pb::Barrier* out);
void write(const consensus::Vouch& in, pb::Vouch* out);
void write(const consensus::RequestViewChange& in, pb::RequestViewChange* out);
void write(const consensus::TriggerCertificate& in, pb::TriggerCertificate* out);
void write(const consensus::NewViewAccept& in, pb::NewViewAccept* out);
void write(const std::vector<consensus::ViewChangeRef>& in, pb::ViewChangeRefs* out);
void write(const consensus::NewView& in, pb::NewView* out);
void write(const consensus::ViewCert& in, pb::ViewCert* out);
void write(const consensus::LastCommit& in, pb::LastCommit* out);
void write(const consensus::ViewChange& in, pb::ViewChange* out);
void write(const consensus::VoidPromise& in, pb::VoidPromise* out);
void write(const consensus::VoidCert& in, pb::VoidValue* out);
void write(const consensus::DerivedState& in, pb::DerivedState* out);
void write(const consensus::StatePart& in, pb::StatePart* out);
void write(const consensus::EquivocationProof& in, pb::EquivocationProof* out);
std::string write_digests(const std::vector<Digest>& digests);

[[nodiscard]] Fault read(const std::string& in, Digest& out);
[[nodiscard]] Fault read(const pb::Endpoint& in, consensus::Endpoint& out);
[[nodiscard]] Fault read(const pb::Ui& in, consensus::Ui& out);
[[nodiscard]] Fault read(const pb::Request& in, consensus::Body& out);
[[nodiscard]] Fault read(const pb::Bodies& in, std::vector<consensus::Body>& out);
[[nodiscard]] Fault read(const pb::Header& in, consensus::HeaderPtr& out);
[[nodiscard]] Fault read(const pb::Prepare& in, consensus::Prepare& out);
[[nodiscard]] Fault read(const pb::Commit& in, consensus::Commit& out);
[[nodiscard]] Fault read(const pb::StreamId& in, consensus::StreamId& out);
[[nodiscard]] Fault read(const pb::ItemResult& in, consensus::ItemResult& out);
[[nodiscard]] Fault read(const pb::Checkpoint& in, consensus::Checkpoint& out);
[[nodiscard]] Fault read(const pb::StableCert& in, consensus::StableCert& out);
[[nodiscard]] Fault read(const pb::Barrier& in, consensus::BarrierCertPtr& out);
[[nodiscard]] Fault read(const pb::Vouch& in, consensus::Vouch& out);
[[nodiscard]] Fault read(const pb::RequestViewChange& in, consensus::RequestViewChange& out);
[[nodiscard]] Fault read(const pb::TriggerCertificate& in, consensus::TriggerCertificate& out);
[[nodiscard]] Fault read(const pb::NewViewAccept& in, consensus::NewViewAccept& out);
[[nodiscard]] Fault read(const pb::ViewChangeRefs& in, std::vector<consensus::ViewChangeRef>& out);
[[nodiscard]] Fault read(const pb::NewView& in, consensus::NewView& out);
[[nodiscard]] Fault read(const pb::ViewCert& in, consensus::ViewCertPtr& out);
[[nodiscard]] Fault read(const pb::LastCommit& in, consensus::LastCommit& out);
[[nodiscard]] Fault read(const pb::ViewChange& in, consensus::ViewChange& out);
[[nodiscard]] Fault read(const pb::VoidValue& in, consensus::VoidRequest& out);
[[nodiscard]] Fault read(const pb::VoidValue& in, consensus::VoidPromise& out);
[[nodiscard]] Fault read(const pb::VoidValue& in, consensus::VoidCert& out);
[[nodiscard]] Fault read(const pb::DerivedState& in, consensus::DerivedState& out);
[[nodiscard]] Fault read(const pb::StatePart& in, consensus::StatePart& out);
[[nodiscard]] Fault read(const pb::EquivocationProof& in, consensus::EquivocationProof& out);
[[nodiscard]] Fault read_digests(const std::string& in, std::vector<Digest>& out);

/// The fields of a request's raw bytes, without raw and rd.
[[nodiscard]] Fault read_content(ByteView raw, consensus::Request& out);

// Enumerators that this version knows. A switch without default: a new enumerator is a warning
// here.
[[nodiscard]] std::optional<consensus::Outcome> outcome_of(std::uint32_t value);
[[nodiscard]] std::optional<consensus::EntryKind> entry_kind(std::uint32_t value);
[[nodiscard]] std::optional<consensus::ItemKind> item_kind(std::uint32_t value);

}  // namespace bft::wire
