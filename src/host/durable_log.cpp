#include "host/durable_log.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"
#include "host/durable_log_read.hpp"
#include "host/log_keys.hpp"
#include "wire/codec.hpp"

#include <boost/asio/post.hpp>

#include <pthread.h>

namespace bft::host {

using consensus::Commit;
using consensus::Endpoint;
using consensus::LogRecord;
using consensus::Prepare;
using keys::Kind;

namespace {

constexpr std::size_t recent_max = 4096;
constexpr std::size_t ride_along_bytes_max = 1024 * 1024;

std::size_t rough_size(const LogRecord& record) {
    if (const auto* body = std::get_if<consensus::BodyRecord>(&record))
        return 256 + body->body->raw.size();
    if (const auto* slot = std::get_if<consensus::SlotBodiesRecord>(&record)) {
        std::size_t bytes = 256;
        for (const consensus::Body& body : slot->bodies) bytes += 32 + body->raw.size();
        return bytes;
    }
    if (const auto* prepare = std::get_if<consensus::PrepareRecord>(&record))
        return 512 + 96 * prepare->prepare.header->entries.size();
    if (const auto* intent = std::get_if<consensus::PrepareIntent>(&record))
        return 128 + 96 * intent->header->entries.size();
    if (const auto* change = std::get_if<consensus::ViewChangeRecord>(&record))
        return 4096 + 512 * change->change->log.size();
    return 1024;
}

}  // namespace

DurableLog::DurableLog(boost::asio::io_context& loop, storage::Store& store,
                       const consensus::Membership& membership, std::function<void(Error)> failed,
                       std::uint64_t retain)
    : loop_(loop),
      store_(store),
      genesis_(membership),
      membership_(membership),
      failed_(std::move(failed)),
      retention_(store, membership, retain),
      thread_([this] { run(); }) {}

DurableLog::~DurableLog() {
    stop();
}

void DurableLog::stop() {
    *alive_ = false;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void DurableLog::append(const Endpoint& owner, std::vector<consensus::Persist> records,
                        std::function<void()> durable) {
    Pending pending;
    pending.done = std::move(durable);
    std::size_t bytes = 0;
    for (consensus::Persist& persist : records) {
        pending.durable = pending.durable || persist.durable;
        bytes += rough_size(persist.record);
        if (const auto* barrier = std::get_if<consensus::BarrierRecord>(&persist.record))
            follow(*barrier->barrier->config);
        Bytes key = key_of(owner, persist.record);
        pending.entries.push_back({owner, std::move(key), std::move(persist.record)});
    }
    // Records that nobody waits for ride along with the next that must be durable: a body with the
    // COMMIT that counts on it.
    bool wake = pending.durable || pending.done;
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(pending));
    queued_bytes_ += bytes;
    if (queued_bytes_ > ride_along_bytes_max) wake = true;
    if (!wake) return;
    urgent_ = true;
    wake_.notify_one();
}

void DurableLog::forget(const Endpoint& owner) {
    std::lock_guard lock(retention_mutex_);
    retention_.forget(owner);
}

void DurableLog::follow(const consensus::Configuration& configuration) {
    if (configuration.version <= membership_.version) return;
    consensus::follow(membership_, configuration);
    membership_.version = configuration.version;
}

Bytes DurableLog::key_of(const Endpoint& owner, const LogRecord& record) const {
    struct Visitor {
        const consensus::Membership& membership;
        const Endpoint& owner;

        Bytes operator()(const consensus::BodyRecord& r) const {
            return keys::named(Kind::body, r.body->rd);
        }
        Bytes operator()(const consensus::SlotBodiesRecord& r) const {
            bool replica = owner.role == Endpoint::Role::replica;
            return keys::slot_bodies(r.slot, replica ? std::optional(owner.group) : std::nullopt,
                                     r.hd);
        }
        Bytes operator()(const consensus::PrepareRecord& r) const {
            return keys::ordering(Kind::prepare, membership.primary_of(r.prepare.view),
                                  r.prepare.ui.cv);
        }
        Bytes operator()(const consensus::CommitRecord& r) const {
            return keys::vote(Kind::commit, r.commit.group, r.commit.position, r.commit.ui.cv);
        }
        // One draft is outstanding at a time: the newest intent is the only one that can matter.
        Bytes operator()(const consensus::PrepareIntent&) const {
            return mine(Kind::counter_intent);
        }
        Bytes operator()(const consensus::NewViewIntent&) const {
            return mine(Kind::counter_intent);
        }
        Bytes operator()(const consensus::CommitIntent&) const { return mine(Kind::vote_intent); }
        Bytes operator()(const consensus::ViewChangeIntent&) const {
            return mine(Kind::vote_intent);
        }
        Bytes operator()(const consensus::ExecutedRecord&) const { return mine(Kind::executed); }
        // What its maker knows of it besides must not be lost when the message comes back.
        Bytes operator()(const consensus::NewViewRecord& r) const {
            PrimaryId primary = membership.primary_of(r.new_view.view);
            bool own = owner == Endpoint::primary(primary);
            return keys::ordering(own ? Kind::own_new_view : Kind::new_view, primary,
                                  r.new_view.ui.cv);
        }
        Bytes operator()(const consensus::ViewChangeRecord& r) const {
            return keys::vote(Kind::view_change, r.change->group, r.change->position,
                              r.change->ui.cv);
        }
        Bytes operator()(const consensus::HeaderRecord& r) const {
            return keys::named(Kind::header, consensus::header_digest(*r.header));
        }
        Bytes operator()(const consensus::ViewCertRecord& r) const {
            return keys::named(Kind::view_cert,
                               consensus::new_view_digest(membership.cluster, r.cert->new_view));
        }
        Bytes operator()(const consensus::ViewRecord&) const { return mine(Kind::view); }
        Bytes operator()(const consensus::VouchRecord&) const { return mine(Kind::vouched); }
        Bytes operator()(const consensus::StableRecord&) const { return mine(Kind::stable); }
        Bytes operator()(const consensus::SnapshotPtr&) const { return mine(Kind::snapshot); }

        Bytes operator()(const consensus::StandingRecord&) const { return mine(Kind::standing); }
        Bytes operator()(const consensus::VoidPromiseRecord& r) const {
            return keys::Builder(Kind::void_promise)
                .bytes(mine(Kind::void_promise))
                .bytes(keys::value(Kind::void_promise, r.stream, r.cv))
                .finish();
        }
        Bytes operator()(const consensus::VoidRecord& r) const {
            return keys::value(Kind::void_cert, r.cert.stream, r.cert.cv);
        }

        Bytes operator()(const consensus::EquivocationRecord& r) const {
            return keys::value(Kind::equivocation, r.proof.stream, Counter(0));
        }
        Bytes operator()(const consensus::ForkRecord&) const { return mine(Kind::fork); }

        Bytes operator()(const consensus::BarrierRecord& r) const {
            return keys::Builder(Kind::barrier).u64(r.barrier->slot.value).finish();
        }
        Bytes operator()(const consensus::HandoverRecord& r) const {
            return keys::Builder(Kind::handover)
                .bytes(mine(Kind::handover))
                .u64(r.state->slot.value)
                .u32(r.group.value)
                .finish();
        }

        [[nodiscard]] Bytes mine(Kind kind) const { return keys::newest(kind, owner); }
    };
    return std::visit(Visitor{membership_, owner}, record);
}

// Every group of a process logs the PREPAREs that it accepts, all under one key, and so it is with
// what view changes bring. Within one writer an earlier write is durable no later than the one that
// is left out here.
bool DurableLog::is_repetition(const Bytes& key) {
    auto kind = static_cast<Kind>(key[0]);
    if (kind != Kind::prepare && kind != Kind::new_view && kind != Kind::view_change &&
        kind != Kind::header && kind != Kind::view_cert)
        return false;
    std::string name(as_text(key));
    if (recent_.contains(name) || older_.contains(name)) return true;
    recent_.insert(std::move(name));
    if (recent_.size() >= recent_max) {
        older_ = std::move(recent_);
        recent_.clear();
    }
    return false;
}

Result<void> DurableLog::write(std::vector<Pending>& group) {
    storage::Batch batch;
    bool sync = false;
    std::uint64_t records = 0;
    std::unique_lock retaining(retention_mutex_);
    for (Pending& pending : group) {
        sync = sync || pending.durable;
        for (Entry& entry : pending.entries) {
            if (is_repetition(entry.key)) continue;
            batch.put(entry.key, wire::encode_record(entry.record));
            retention_.note(entry.owner, entry.key, entry.record, batch);
            ++records;
        }
    }
    if (auto swept = retention_.sweep(batch); !swept) return swept.error();
    retaining.unlock();
    std::size_t bytes = batch.bytes();
    if (auto written = store_.write(batch, sync); !written) return written.error();
    std::lock_guard lock(mutex_);
    report_.records += records;
    report_.bytes += bytes;
    ++report_.writes;
    return {};
}

void DurableLog::run() {
    ::pthread_setname_np(::pthread_self(), "log");
    while (true) {
        std::vector<Pending> group;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || urgent_; });
            if (queue_.empty()) return;
            group.swap(queue_);
            queued_bytes_ = 0;
            urgent_ = false;
        }
        auto written = write(group);
        if (written) std::erase_if(group, [](const Pending& pending) { return !pending.done; });
        if (written && group.empty()) continue;
        boost::asio::post(loop_, [this, alive = alive_, written, group = std::move(group)] {
            if (!*alive) return;
            if (!written) return failed_(written.error());
            for (const Pending& pending : group)
                if (pending.done) pending.done();
        });
        if (!written) return;
    }
}

std::size_t DurableLog::backlog_bytes() const {
    std::lock_guard lock(mutex_);
    return queued_bytes_;
}

DurableLog::Report DurableLog::report() const {
    std::lock_guard lock(mutex_);
    Report report = report_;
    report.bytes_on_disk = store_.bytes_on_disk();
    return report;
}

// --- reading ---

std::optional<Prepare> DurableLog::prepare(PrimaryId primary, Counter cv) const {
    auto record = read<consensus::PrepareRecord>(keys::ordering(Kind::prepare, primary, cv));
    if (!record) return std::nullopt;
    return std::move(record->prepare);
}

std::optional<Commit> DurableLog::vote(GroupId group, Position position, Counter cv) const {
    auto record = read<consensus::CommitRecord>(keys::vote(Kind::commit, group, position, cv));
    if (!record) return std::nullopt;
    return std::move(record->commit);
}

std::optional<consensus::NewView> DurableLog::new_view(PrimaryId primary, Counter cv) const {
    for (Kind kind : {Kind::new_view, Kind::own_new_view})
        if (auto record = read<consensus::NewViewRecord>(keys::ordering(kind, primary, cv)))
            return std::move(record->new_view);
    return std::nullopt;
}

consensus::ViewChangePtr DurableLog::view_change(GroupId group, Position position,
                                                 Counter cv) const {
    auto record =
        read<consensus::ViewChangeRecord>(keys::vote(Kind::view_change, group, position, cv));
    return record ? std::move(record->change) : nullptr;
}

consensus::HeaderPtr DurableLog::header(const Digest& hd) const {
    if (auto record = read<consensus::HeaderRecord>(keys::named(Kind::header, hd)))
        return std::move(record->header);
    auto place = store_.get(keys::named(Kind::header_of_prepare, hd));
    if (!place || !*place) return nullptr;
    auto record = read<consensus::PrepareRecord>(**place);
    return record ? std::move(record->prepare.header) : nullptr;
}

consensus::ViewCertPtr DurableLog::view_cert(const Digest& nvd) const {
    auto record = read<consensus::ViewCertRecord>(keys::named(Kind::view_cert, nvd));
    return record ? std::move(record->cert) : nullptr;
}

std::optional<consensus::VoidCert> DurableLog::void_cert(const consensus::StreamId& stream,
                                                         Counter cv) const {
    auto record = read<consensus::VoidRecord>(keys::value(Kind::void_cert, stream, cv));
    if (!record) return std::nullopt;
    return std::move(record->cert);
}

bool DurableLog::once_owned(GroupId group, PartitionId partition) const {
    std::vector<consensus::BarrierCertPtr> barriers;
    if (!scan_barriers(barriers)) return false;
    return std::any_of(barriers.begin(), barriers.end(), [&](const auto& barrier) {
        return barrier->config->owner(partition) == group;
    });
}

std::optional<Counter> DurableLog::next_from(const consensus::StreamId& stream,
                                             Counter from) const {
    std::optional<Counter> next;
    auto look = [&](const Bytes& prefix, const Bytes& key) {
        auto found = store_.scan(prefix, key, [&](ByteView at, ByteView) {
            Counter cv(keys::number_at(at, at.size() - 8, 8));
            if (!next || cv < *next) next = cv;
            return false;
        });
        return found.has_value();
    };
    if (stream.kind == consensus::StreamId::Kind::ordering) {
        for (Kind kind : {Kind::prepare, Kind::new_view, Kind::own_new_view})
            if (!look(keys::Builder(kind).u32(stream.primary.value).finish(),
                      keys::ordering(kind, stream.primary, from)))
                return std::nullopt;
        return next;
    }
    for (Kind kind : {Kind::commit, Kind::view_change})
        if (!look(keys::Builder(kind).u32(stream.group.value).u32(stream.position.value).finish(),
                  keys::vote(kind, stream.group, stream.position, from)))
            return std::nullopt;
    return next;
}

std::vector<consensus::Body> DurableLog::bodies_of(Slot slot) const {
    std::vector<consensus::Body> bodies;
    auto visit = [&](ByteView, ByteView value) {
        auto record = wire::decode_record(value);
        auto* found = record ? std::get_if<consensus::SlotBodiesRecord>(&*record) : nullptr;
        // A damaged one is one that is not here.
        if (found != nullptr)
            bodies.insert(bodies.end(), found->bodies.begin(), found->bodies.end());
        return true;
    };
    Bytes prefix = keys::Builder(Kind::slot_bodies).u64(slot.value).finish();
    if (!store_.scan(prefix, prefix, visit)) return {};
    return bodies;
}

consensus::Body DurableLog::body(const Digest& rd) const {
    auto record = read<consensus::BodyRecord>(keys::named(Kind::body, rd));
    return record ? record->body : nullptr;
}

}  // namespace bft::host
