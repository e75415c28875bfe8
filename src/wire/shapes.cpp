#include "wire/shapes.hpp"

#include "wire/limits.hpp"

#include <array>

namespace bft::wire {

namespace {

constexpr std::size_t entries = message_limits.slot_entries;
constexpr std::size_t items = entries + 1;  // the implicit one of a checkpoint slot
constexpr std::size_t parts = message_limits.parts_per_request;
constexpr std::size_t fetched = message_limits.fetch_count;
constexpr std::size_t digest = 32;

constexpr Field number(std::uint32_t n) {
    return {n, Field::Kind::varint, 1, nullptr};
}
constexpr Field bytes(std::uint32_t n, std::size_t max) {
    return {n, Field::Kind::bytes, max, nullptr};
}
constexpr Field packed(std::uint32_t n, std::size_t max) {
    return {n, Field::Kind::packed_varint, max, nullptr};
}
constexpr Field packed_fixed64(std::uint32_t n, std::size_t max) {
    return {n, Field::Kind::packed_fixed64, max, nullptr};
}
constexpr Field one(std::uint32_t n, const Shape& shape) {
    return {n, Field::Kind::message, 1, &shape};
}
constexpr Field many(std::uint32_t n, const Shape& shape, std::size_t max) {
    return {n, Field::Kind::message, max, &shape};
}

// In the order of proto/bftnode/wire.proto.

constexpr std::array endpoint_fields{number(1), number(2), number(3), number(4)};
constexpr Shape endpoint_shape{"Endpoint", endpoint_fields};

constexpr std::array ui_fields{number(1), number(2), bytes(3, certificate_bytes_max)};
constexpr Shape ui_shape{"Ui", ui_fields};

constexpr std::array content_fields{number(1),
                                    number(2),
                                    number(3),
                                    number(4),
                                    packed(5, parts),
                                    number(6),
                                    bytes(7, message_limits.op_bytes),
                                    number(8)};

constexpr std::array request_fields{
    bytes(1, raw_bytes_max),       number(2), number(3), bytes(4, path_length_max* digest),
    bytes(5, signature_bytes_max), number(6)};
constexpr Shape request_shape{"Request", request_fields};

constexpr std::array header_fields{
    number(1),          bytes(2, digest),          number(3),          packed(4, entries),
    packed(5, entries), packed(6, entries),        packed(7, entries), bytes(8, entries* digest),
    packed(9, entries), packed(10, entries* parts)};
constexpr Shape header_shape{"Header", header_fields};

constexpr std::array prepare_fields{number(1), number(2), bytes(3, digest), one(4, ui_shape),
                                    one(5, header_shape)};
constexpr Shape prepare_shape{"Prepare", prepare_fields};

constexpr std::array compact_prepare_fields{number(1), number(2), bytes(3, digest),
                                            one(4, ui_shape)};
constexpr Shape compact_prepare_shape{"compact Prepare", compact_prepare_fields};

constexpr std::array commit_fields{number(1),
                                   number(2),
                                   number(3),
                                   number(4),
                                   bytes(5, digest),
                                   bytes(6, digest),
                                   one(7, compact_prepare_shape),
                                   one(8, ui_shape),
                                   number(9)};
constexpr Shape commit_shape{"Commit", commit_fields};

constexpr std::array status_fields{number(1),
                                   number(2),
                                   number(3),
                                   number(4),
                                   number(5),
                                   number(6),
                                   number(7),
                                   packed(8, primaries_max),
                                   packed(9, group_size_max),
                                   number(10)};
constexpr Shape status_shape{"Status", status_fields};

constexpr std::array stream_fields{number(1), number(2), number(3), number(4)};
constexpr Shape stream_shape{"StreamId", stream_fields};

constexpr std::array fetch_certificates_fields{one(1, stream_shape), number(2), number(3)};
constexpr Shape fetch_certificates_shape{"FetchCertificates", fetch_certificates_fields};

// --- checkpoints and view change

constexpr std::array position_signature_fields{number(1), bytes(2, signature_bytes_max)};
constexpr Shape position_signature_shape{"PositionSignature", position_signature_fields};

constexpr std::array checkpoint_fields{number(1),
                                       number(2),
                                       number(3),
                                       bytes(4, digest),
                                       number(5),
                                       bytes(6, digest),
                                       bytes(7, signature_bytes_max),
                                       bytes(8, digest)};
constexpr Shape checkpoint_shape{"Checkpoint", checkpoint_fields};

constexpr std::array stable_cert_fields{
    number(1),       number(2),        bytes(3, digest),
    number(4),       bytes(5, digest), many(6, position_signature_shape, group_size_max),
    bytes(7, digest)};
constexpr Shape stable_cert_shape{"StableCert", stable_cert_fields};

constexpr std::array barrier_fields{number(1), bytes(2, configuration_bytes_max),
                                    many(3, stable_cert_shape, groups_max)};
constexpr Shape barrier_shape{"Barrier", barrier_fields};

constexpr std::array fetch_config_fields{number(1), number(2)};
constexpr Shape fetch_config_shape{"FetchConfig", fetch_config_fields};

constexpr std::array vouch_fields{number(1), number(2), packed(3, group_size_max),
                                  bytes(4, signature_bytes_max), packed(5, primaries_max)};
constexpr Shape vouch_shape{"Vouch", vouch_fields};

constexpr std::array request_view_change_fields{number(1), number(2), number(3), number(4),
                                                bytes(5, signature_bytes_max)};
constexpr Shape request_view_change_shape{"RequestViewChange", request_view_change_fields};

constexpr std::array trigger_fields{number(1), many(2, request_view_change_shape, group_size_max)};
constexpr Shape trigger_shape{"TriggerCertificate", trigger_fields};

constexpr std::array view_change_refs_fields{
    packed(1, view_changes_max), packed(2, view_changes_max), packed(3, view_changes_max),
    bytes(4, view_changes_max* digest)};
constexpr Shape view_change_refs_shape{"ViewChangeRefs", view_change_refs_fields};

constexpr std::array new_view_fields{number(1),
                                     number(2),
                                     bytes(3, digest),
                                     packed(4, message_limits.nullset),
                                     packed(5, message_limits.nullset),
                                     one(6, view_change_refs_shape),
                                     one(7, ui_shape)};
constexpr Shape new_view_shape{"NewView", new_view_fields};

constexpr std::array accept_fields{number(1),        number(2), number(3),
                                   bytes(4, digest), number(5), bytes(6, signature_bytes_max)};
constexpr Shape accept_shape{"NewViewAccept", accept_fields};

constexpr std::array view_cert_fields{one(1, new_view_shape), number(2),
                                      many(3, position_signature_shape, group_size_max)};
constexpr Shape view_cert_shape{"ViewCert", view_cert_fields};

constexpr std::array last_commit_fields{number(1), number(2), bytes(3, digest), bytes(4, digest)};
constexpr Shape last_commit_shape{"LastCommit", last_commit_fields};

constexpr std::array vote_entry_fields{one(1, last_commit_shape), one(2, ui_shape), number(3),
                                       bytes(4, digest)};
// Its two digests are always there.
constexpr Shape vote_entry_shape{"VoteEntry", vote_entry_fields, 0, 2 * digest};

constexpr std::array void_promise_fields{number(1), number(2), bytes(3, signature_bytes_max)};
constexpr Shape void_promise_shape{"VoidPromise", void_promise_fields};

constexpr std::array void_value_fields{one(1, stream_shape), number(2),
                                       many(3, void_promise_shape, view_changes_max)};
constexpr Shape void_value_shape{"VoidValue", void_value_fields};

constexpr std::array equivocation_fields{one(1, stream_shape), number(2),        bytes(3, digest),
                                         one(4, ui_shape),     bytes(5, digest), one(6, ui_shape)};
constexpr Shape equivocation_shape{"EquivocationProof", equivocation_fields};

constexpr std::array view_change_fields{number(1),
                                        number(2),
                                        number(3),
                                        one(4, last_commit_shape),
                                        one(5, ui_shape),
                                        number(6),
                                        one(7, view_cert_shape),
                                        one(8, stable_cert_shape),
                                        number(9),
                                        many(10, vouch_shape, group_size_max),
                                        many(11, vote_entry_shape, message_limits.vote_log),
                                        one(12, ui_shape),
                                        many(13, void_value_shape, message_limits.voids),
                                        one(14, barrier_shape)};
constexpr Shape view_change_shape{"ViewChange", view_change_fields};

constexpr std::array resign_fields{number(1), number(2), bytes(3, signature_bytes_max)};
constexpr Shape resign_shape{"Resign", resign_fields};

constexpr std::array fetch_headers_fields{number(1), number(2), bytes(3, digest)};
constexpr Shape fetch_headers_shape{"FetchHeaders", fetch_headers_fields};

constexpr std::array headers_fields{many(1, header_shape, fetched)};
constexpr Shape headers_shape{"Headers", headers_fields};

constexpr std::array fetch_view_cert_fields{bytes(1, digest)};
constexpr Shape fetch_view_cert_shape{"FetchViewCert", fetch_view_cert_fields};

constexpr std::array view_changes_fields{many(1, view_change_shape, view_changes_max)};
constexpr Shape view_changes_shape{"ViewChanges", view_changes_fields};

constexpr std::array certificates_fields{one(1, stream_shape),
                                         many(2, prepare_shape, fetched),
                                         many(3, commit_shape, fetched),
                                         many(4, new_view_shape, fetched),
                                         many(5, view_change_shape, fetched),
                                         many(6, void_value_shape, fetched)};
constexpr Shape certificates_shape{"Certificates", certificates_fields};

constexpr std::array fetch_bodies_fields{bytes(1, fetched* digest), packed(2, fetched)};
constexpr Shape fetch_bodies_shape{"FetchBodies", fetch_bodies_fields};

constexpr std::size_t bundled = message_limits.bundle_count;
constexpr std::array bundle_fields{bytes(1, signature_bytes_max),
                                   number(2),
                                   packed(3, bundled),
                                   bytes(4, frame_bytes_max),
                                   packed(5, bundled),
                                   bytes(6, bundled* digest),
                                   packed(7, bundled)};
constexpr Shape bundle_shape{"Bundle", bundle_fields};

constexpr std::array bodies_fields{many(1, request_shape, slot_bodies_max),
                                   many(2, bundle_shape, slot_bodies_max)};
constexpr Shape bodies_shape{"Bodies", bodies_fields};

constexpr std::array commit_db_fields{number(1),
                                      number(2),
                                      number(3),
                                      number(4),
                                      packed(5, items),
                                      packed(6, items),
                                      packed(7, items),
                                      packed(8, items),
                                      packed(9, items),
                                      bytes(10, items* digest),
                                      packed(11, items),
                                      packed_fixed64(12, items),
                                      packed(13, items),
                                      packed(14, entries* parts + status_partitions_max),
                                      packed(15, entries* parts + status_partitions_max),
                                      one(16, bodies_shape)};
constexpr Shape commit_db_shape{"CommitDb", commit_db_fields};

constexpr std::array item_result_fields{
    number(1), number(2), number(3),        number(4),
    number(5), number(6), bytes(7, digest), bytes(8, message_limits.result_bytes)};
constexpr Shape item_result_shape{"ItemResult", item_result_fields};

constexpr std::array db_reply_fields{number(1), number(2), number(3),
                                     many(4, item_result_shape, items)};
constexpr Shape db_reply_shape{"DbReply", db_reply_fields};

constexpr std::array voter_status_fields{number(1), packed(2, status_partitions_max),
                                         packed(3, status_partitions_max), number(4)};
constexpr Shape voter_status_shape{"VoterStatus", voter_status_fields};

constexpr std::array fetch_db_items_fields{number(1), number(2), number(3), number(4)};
constexpr Shape fetch_db_items_shape{"FetchDbItems", fetch_db_items_fields};

constexpr std::array reply_signature_fields{
    number(1),        number(2), bytes(3, path_length_max* digest), bytes(4, signature_bytes_max),
    bytes(5, digest), number(6)};
constexpr Shape reply_signature_shape{"ReplySignature", reply_signature_fields};

constexpr std::array reply_fields{number(1),
                                  number(2),
                                  number(3),
                                  one(4, item_result_shape),
                                  number(5),
                                  number(6),
                                  one(7, reply_signature_shape)};
constexpr Shape reply_shape{"Reply", reply_fields};

constexpr std::size_t replied = replies_max;
constexpr std::array replies_fields{number(1),           number(2),
                                    number(3),           number(4),
                                    number(5),           packed(6, replied),
                                    packed(7, replied),  packed(8, replied),
                                    packed(9, replied),  packed(10, replied),
                                    packed(11, replied), bytes(12, replied* digest),
                                    packed(13, replied), bytes(14, frame_bytes_max)};
constexpr Shape replies_shape{"Replies", replies_fields};

constexpr std::array rejected_fields{number(1), number(2), number(3), number(4),
                                     bytes(5, text_bytes_max)};
constexpr Shape rejected_shape{"Rejected", rejected_fields};

// --- database checkpoints

constexpr std::array db_checkpoint_fields{number(1), number(2), bytes(3, digest),
                                          bytes(4, signature_bytes_max)};
constexpr Shape db_checkpoint_shape{"DbCheckpoint", db_checkpoint_fields};

constexpr std::array db_cut_fields{number(1), number(2), number(3)};
constexpr Shape db_cut_shape{"DbCut", db_cut_fields};

constexpr std::array db_cut_ref_fields{number(1), number(2)};
constexpr Shape db_cut_ref_shape{"DbCutRef", db_cut_ref_fields};

constexpr std::array db_leaf_fields{bytes(1, table_bytes_max), number(2), number(3),
                                    bytes(4, message_limits.database_chunks* digest)};
constexpr Shape db_leaf_shape{"DbLeaf", db_leaf_fields};

constexpr std::array db_leaves_fields{number(1), number(2),
                                      many(3, db_leaf_shape, message_limits.database_leaves)};
constexpr Shape db_leaves_shape{"DbLeaves", db_leaves_fields};

constexpr std::array fetch_db_chunk_fields{number(1), number(2), number(3), number(4)};
constexpr Shape fetch_db_chunk_shape{"fetch of a DbChunk", fetch_db_chunk_fields};

constexpr std::array db_chunk_fields{number(1), number(2), number(3), number(4),
                                     bytes(5, message_limits.chunk_bytes)};
constexpr Shape db_chunk_shape{"DbChunk", db_chunk_fields};

// --- state transfer

constexpr std::array gone_fields{one(1, stream_shape), number(2)};
constexpr Shape gone_shape{"Gone", gone_fields};

constexpr std::array fetch_state_fields{number(1), number(2), number(3)};
constexpr Shape fetch_state_shape{"FetchState", fetch_state_fields};

constexpr std::array snapshot_item_fields{number(1),
                                          number(2),
                                          number(3),
                                          number(4),
                                          number(5),
                                          number(6),
                                          bytes(7, digest),
                                          number(8),
                                          number(9),
                                          packed(10, status_partitions_max),
                                          packed(11, status_partitions_max)};
constexpr Shape snapshot_item_shape{"SnapshotItem", snapshot_item_fields};

constexpr std::array derived_state_fields{number(1),
                                          bytes(2, digest),
                                          number(3),
                                          bytes(4, digest),
                                          packed(5, status_partitions_max),
                                          packed(6, status_partitions_max),
                                          packed(7, windows_max),
                                          packed(8, windows_max),
                                          packed(9, windows_max),
                                          packed_fixed64(10, windows_max * 4),
                                          many(13, snapshot_item_shape, windows_max),
                                          bytes(14, digest)};
constexpr Shape derived_state_shape{"DerivedState", derived_state_fields};

// The frame's bound holds for a part; the Verifier's are narrower.
constexpr std::array state_part_fields{one(1, stable_cert_shape),
                                       number(2),
                                       number(3),
                                       one(4, derived_state_shape),
                                       many(5, vouch_shape, group_size_max),
                                       one(6, barrier_shape)};
constexpr Shape state_part_shape{"StatePart", state_part_fields};

constexpr std::array frame_fields{one(1, endpoint_shape),
                                  one(2, endpoint_shape),
                                  one(10, request_shape),
                                  one(11, prepare_shape),
                                  one(12, commit_shape),
                                  one(13, status_shape),
                                  one(14, fetch_certificates_shape),
                                  one(15, certificates_shape),
                                  one(16, fetch_bodies_shape),
                                  one(17, bodies_shape),
                                  one(18, commit_db_shape),
                                  one(19, db_reply_shape),
                                  one(20, voter_status_shape),
                                  one(21, fetch_db_items_shape),
                                  one(22, reply_shape),
                                  one(23, rejected_shape),
                                  one(24, checkpoint_shape),
                                  one(25, vouch_shape),
                                  one(26, request_view_change_shape),
                                  one(27, trigger_shape),
                                  one(28, view_change_shape),
                                  one(29, new_view_shape),
                                  one(30, accept_shape),
                                  one(31, view_cert_shape),
                                  one(32, resign_shape),
                                  one(33, fetch_headers_shape),
                                  one(34, headers_shape),
                                  one(35, fetch_view_cert_shape),
                                  one(36, view_change_refs_shape),
                                  one(37, view_changes_shape),
                                  one(38, db_checkpoint_shape),
                                  one(39, db_cut_shape),
                                  one(40, db_cut_ref_shape),
                                  one(41, db_leaves_shape),
                                  one(42, fetch_db_chunk_shape),
                                  one(43, db_chunk_shape),
                                  one(44, db_cut_ref_shape),
                                  one(48, void_value_shape),
                                  one(49, void_value_shape),
                                  one(50, void_value_shape),
                                  one(51, gone_shape),
                                  one(52, fetch_state_shape),
                                  one(53, state_part_shape),
                                  one(56, equivocation_shape),
                                  one(57, replies_shape),
                                  one(58, fetch_config_shape),
                                  one(59, barrier_shape)};

constexpr std::array prepare_intent_fields{number(1), one(2, header_shape)};
constexpr Shape prepare_intent_shape{"PrepareIntent", prepare_intent_fields};

constexpr std::array executed_fields{number(1)};
constexpr Shape executed_shape{"Executed", executed_fields};

constexpr std::array new_view_entry_fields{one(1, new_view_shape), number(2)};
constexpr Shape new_view_entry_shape{"NewViewEntry", new_view_entry_fields};

constexpr std::array view_state_fields{number(1), bytes(2, digest), number(3),
                                       one(4, view_cert_shape), one(5, trigger_shape)};
constexpr Shape view_state_shape{"ViewState", view_state_fields};

constexpr std::array vouched_fields{number(1), many(2, vouch_shape, group_size_max)};
constexpr Shape vouched_shape{"Vouched", vouched_fields};

constexpr std::array vote_track_fields{number(1), number(2), one(3, last_commit_shape)};
constexpr Shape vote_track_shape{"VoteTrack", vote_track_fields};

constexpr std::array ordering_track_fields{number(1), number(2), number(3),       number(4),
                                           number(5), number(6), bytes(7, digest)};
constexpr Shape ordering_track_shape{"OrderingTrack", ordering_track_fields};

constexpr std::array snapshot_fields{
    one(1, derived_state_shape), many(2, vote_track_shape, group_size_max),
    many(3, ordering_track_shape, primaries_max), one(4, stable_cert_shape)};
constexpr Shape snapshot_shape{"Snapshot", snapshot_fields};

constexpr std::array standing_fields{number(1), number(2),        number(3), number(4),
                                     number(5), bytes(6, digest), number(7)};
constexpr Shape standing_shape{"Standing", standing_fields};

constexpr std::array slot_bodies_fields{number(1), bytes(2, digest), one(3, bodies_shape)};
constexpr Shape slot_bodies_shape{"SlotBodies", slot_bodies_fields};

constexpr std::array handover_fields{number(1), one(2, derived_state_shape)};
constexpr Shape handover_shape{"Handover", handover_fields};

constexpr std::array record_fields{
    one(1, request_shape),        one(2, prepare_shape),        one(3, prepare_intent_shape),
    one(4, commit_shape),         one(5, commit_shape),         one(6, executed_shape),
    one(7, new_view_entry_shape), one(8, new_view_entry_shape), one(9, view_change_shape),
    one(10, view_change_shape),   one(11, header_shape),        one(12, view_cert_shape),
    one(13, view_state_shape),    one(14, vouched_shape),       one(15, stable_cert_shape),
    one(16, snapshot_shape),      one(17, void_value_shape),    one(18, void_value_shape),
    one(19, standing_shape),      one(24, equivocation_shape),  one(25, stable_cert_shape),
    one(26, slot_bodies_shape),   one(27, barrier_shape),       one(28, handover_shape)};

static_assert(frame_fields.size() <= shape_fields_max);

}  // namespace

const Shape frame_shape{"Frame", frame_fields, 10};
const Shape record_shape{"Record", record_fields, 1};
const Shape request_content_shape{"RequestContent", content_fields};

}  // namespace bft::wire
