#include "host/durable_log.hpp"

#include "base/invariant.hpp"
#include "wire/codec.hpp"

#include <boost/asio/post.hpp>

#include <pthread.h>

namespace bft::host {

using consensus::Commit;
using consensus::Endpoint;
using consensus::LogRecord;
using consensus::Prepare;

namespace {

constexpr std::size_t recent_max = 4096;
constexpr std::size_t ride_along_bytes_max = 1024 * 1024;

enum class Kind : std::uint8_t {
    body = 'B',
    prepare = 'P',
    commit = 'C',
    prepare_intent = 'i',
    commit_intent = 'I',
    executed = 'E',
};

// Keys are big-endian, so that a scan visits counters in order.
class KeyBuilder {
public:
    explicit KeyBuilder(Kind kind) : bytes_{static_cast<std::uint8_t>(kind)} {}

    KeyBuilder& u32(std::uint32_t value) { return put(value, 4); }
    KeyBuilder& u64(std::uint64_t value) { return put(value, 8); }
    KeyBuilder& digest(const Digest& value) {
        bytes_.insert(bytes_.end(), value.bytes.begin(), value.bytes.end());
        return *this;
    }
    [[nodiscard]] Bytes finish() const { return bytes_; }

private:
    KeyBuilder& put(std::uint64_t value, int size) {
        for (int i = size - 1; i >= 0; --i)
            bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    Bytes bytes_;
};

Bytes prepare_key(PrimaryId primary, Counter cv) {
    return KeyBuilder(Kind::prepare).u32(primary.value).u64(cv.value).finish();
}

Bytes commit_key(GroupId group, Position position, Counter cv) {
    return KeyBuilder(Kind::commit).u32(group.value).u32(position.value).u64(cv.value).finish();
}

Bytes body_key(const Digest& rd) {
    return KeyBuilder(Kind::body).digest(rd).finish();
}

std::size_t rough_size(const LogRecord& record) {
    if (const auto* body = std::get_if<consensus::BodyRecord>(&record))
        return 256 + body->body->raw.size();
    if (const auto* prepare = std::get_if<consensus::PrepareRecord>(&record))
        return 512 + 96 * prepare->prepare.header->entries.size();
    if (const auto* intent = std::get_if<consensus::PrepareIntent>(&record))
        return 128 + 96 * intent->header->entries.size();
    return 1024;
}

}  // namespace

DurableLog::DurableLog(boost::asio::io_context& loop, storage::Store& store,
                       const consensus::Membership& membership, std::function<void(Error)> failed)
    : loop_(loop),
      store_(store),
      membership_(membership),
      failed_(std::move(failed)),
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
        pending.entries.push_back({key_of(owner, persist.record), std::move(persist.record)});
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

Bytes DurableLog::key_of(const Endpoint& owner, const LogRecord& record) const {
    struct Visitor {
        const consensus::Membership& membership;
        const Endpoint& owner;

        Bytes operator()(const consensus::BodyRecord& r) const { return body_key(r.body->rd); }
        Bytes operator()(const consensus::PrepareRecord& r) const {
            return prepare_key(membership.primary_of(r.prepare.view), r.prepare.ui.cv);
        }
        Bytes operator()(const consensus::CommitRecord& r) const {
            return commit_key(r.commit.group, r.commit.position, r.commit.ui.cv);
        }
        // One draft is outstanding at a time: the newest intent is the only one that can matter.
        Bytes operator()(const consensus::PrepareIntent&) const {
            return KeyBuilder(Kind::prepare_intent).u32(owner.index).finish();
        }
        Bytes operator()(const consensus::CommitIntent&) const {
            return KeyBuilder(Kind::commit_intent).u32(owner.group.value).u32(owner.index).finish();
        }
        Bytes operator()(const consensus::ExecutedRecord&) const {
            return KeyBuilder(Kind::executed).u32(owner.group.value).u32(owner.index).finish();
        }
    };
    return std::visit(Visitor{membership_, owner}, record);
}

// Every group of a process logs the PREPAREs that it accepts, all under one key. Within one writer
// an earlier write is durable no later than the one that is left out here.
bool DurableLog::is_repetition(const Bytes& key) {
    if (key[0] != static_cast<std::uint8_t>(Kind::prepare)) return false;
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
    for (Pending& pending : group) {
        sync = sync || pending.durable;
        for (Entry& entry : pending.entries) {
            if (is_repetition(entry.key)) continue;
            batch.put(entry.key, wire::encode_record(*entry.record));
            ++records;
        }
    }
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
    return report_;
}

// --- reading ---

template <class Record>
std::optional<Record> DurableLog::read(const Bytes& key) const {
    auto value = store_.get(key);
    if (!value || !*value) return std::nullopt;
    auto record = wire::decode_record(**value);
    if (!record) return std::nullopt;
    if (auto* found = std::get_if<Record>(&*record)) return std::move(*found);
    return std::nullopt;
}

template <class Record>
Result<void> DurableLog::scan(const Bytes& prefix,
                              const std::function<void(Record&&)>& visit) const {
    std::optional<Error> damaged;
    auto scanned = store_.scan(prefix, {}, [&](ByteView key, ByteView value) {
        auto record = wire::decode_record(value);
        auto* found = record ? std::get_if<Record>(&*record) : nullptr;
        if (found == nullptr) {
            damaged = error(Errc::io, "the log's record " + hex(key) +
                                          " is damaged; restore the data directory or replace this "
                                          "host's identities");
            return false;
        }
        visit(std::move(*found));
        return true;
    });
    if (!scanned) return scanned.error();
    if (damaged) return *damaged;
    return {};
}

std::optional<Prepare> DurableLog::prepare(PrimaryId primary, Counter cv) const {
    auto record = read<consensus::PrepareRecord>(prepare_key(primary, cv));
    if (!record) return std::nullopt;
    return std::move(record->prepare);
}

std::optional<Commit> DurableLog::vote(GroupId group, Position position, Counter cv) const {
    auto record = read<consensus::CommitRecord>(commit_key(group, position, cv));
    if (!record) return std::nullopt;
    return std::move(record->commit);
}

consensus::Body DurableLog::body(const Digest& rd) const {
    auto record = read<consensus::BodyRecord>(body_key(rd));
    return record ? record->body : nullptr;
}

Result<LoggedPrimary> DurableLog::load_primary(PrimaryId primary) const {
    LoggedPrimary log;
    auto scanned = scan<consensus::PrepareRecord>(
        KeyBuilder(Kind::prepare).u32(primary.value).finish(),
        [&](consensus::PrepareRecord&& r) { log.prepares.push_back(std::move(r.prepare)); });
    if (!scanned) return scanned.error();
    log.intent = read<consensus::PrepareIntent>(
        KeyBuilder(Kind::prepare_intent).u32(primary.value).finish());
    return log;
}

Result<LoggedReplica> DurableLog::load_replica(GroupId group, Position position) const {
    LoggedReplica log;
    auto prepares = scan<consensus::PrepareRecord>(
        KeyBuilder(Kind::prepare).finish(),
        [&](consensus::PrepareRecord&& r) { log.prepares.push_back(std::move(r.prepare)); });
    if (!prepares) return prepares.error();
    auto commits = scan<consensus::CommitRecord>(
        KeyBuilder(Kind::commit).u32(group.value).finish(),
        [&](consensus::CommitRecord&& r) { log.commits.push_back(std::move(r.commit)); });
    if (!commits) return commits.error();
    auto bodies = scan<consensus::BodyRecord>(KeyBuilder(Kind::body).finish(),
                                              [&](consensus::BodyRecord&& r) {
                                                  if (membership_.owner(r.body->id.home) == group)
                                                      log.bodies.push_back(std::move(r.body));
                                              });
    if (!bodies) return bodies.error();
    log.intent = read<consensus::CommitIntent>(
        KeyBuilder(Kind::commit_intent).u32(group.value).u32(position.value).finish());
    if (auto executed = read<consensus::ExecutedRecord>(
            KeyBuilder(Kind::executed).u32(group.value).u32(position.value).finish()))
        log.executed = executed->slot;
    return log;
}

}  // namespace bft::host
