// One message of every kind, with every field set to something that no default is.
#pragma once

#include "consensus/engine.hpp"
#include "consensus/messages.hpp"

#include <vector>

namespace bft::wire {

Digest digest_of(int seed);
consensus::Ui sample_ui(int seed);
consensus::Body sample_body(int seed);
/// `count` requests under one signature.
std::vector<consensus::Body> sample_bundle(int count);
consensus::Replies sample_replies();
consensus::HeaderPtr sample_header(int seed, int entries = 3);
consensus::Prepare sample_prepare(int seed, bool with_header);
consensus::Commit sample_commit(int seed);
consensus::StableCert sample_stable(int seed);
consensus::Vouch sample_vouch(int seed);
consensus::TriggerCertificate sample_trigger(int seed);
consensus::NewView sample_new_view(int seed);
consensus::ViewCertPtr sample_view_cert(int seed);
consensus::ViewChange sample_view_change(int seed);
consensus::SnapshotRecord sample_snapshot(int seed);
consensus::StatePart sample_state(int seed);
consensus::BarrierCertPtr sample_barrier(int seed);
consensus::VoidCert sample_void(consensus::StreamId stream, int seed);
consensus::DbItem sample_item(int seed);
consensus::ItemResult sample_result(int seed);

std::vector<consensus::Message> sample_messages();
std::vector<consensus::LogRecord> sample_records();

}  // namespace bft::wire
