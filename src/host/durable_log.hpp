// The durable log of one role's engines: what protocol.md section 8 wants on disk before something
// becomes visible. One thread writes; everything that is queued while one sync runs goes into the
// next (group commit).
#pragma once

#include "base/result.hpp"
#include "consensus/engine.hpp"
#include "consensus/fetch.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/minbft/replica.hpp"
#include "host/retention.hpp"
#include "storage/store.hpp"

#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

namespace bft::host {

/// Where an EngineHost puts its records; a fake in unit tests.
class RecordSink {
public:
    virtual ~RecordSink() = default;
    /// Appends `records` of `owner`. `durable` is called on the loop once they (and everything
    /// appended before) are on disk, in the order of the calls; it may be empty, and then the
    /// records go with the next that must be durable.
    virtual void append(const consensus::Endpoint& owner, std::vector<consensus::Persist> records,
                        std::function<void()> durable) = 0;
};

class DurableLog final : public RecordSink, public consensus::LogReader {
public:
    /// `failed` is called on the loop when a write fails: the node must stop (a failed fsync is
    /// never retried). What is more than `retain` slots older than an engine's restart needs is
    /// erased. `membership` and `store` must outlive this.
    DurableLog(boost::asio::io_context& loop, storage::Store& store,
               const consensus::Membership& membership, std::function<void(Error)> failed,
               std::uint64_t retain = retain_default);
    static constexpr std::uint64_t retain_default = 65536;
    ~DurableLog() override;
    DurableLog(const DurableLog&) = delete;
    DurableLog& operator=(const DurableLog&) = delete;

    void append(const consensus::Endpoint& owner, std::vector<consensus::Persist> records,
                std::function<void()> durable) override;
    /// Writes what is queued and joins the thread. No callback comes from then on.
    void stop();

    /// What an engine of an earlier incarnation has left. Everybody who will append is loaded
    /// first: nothing that one of them still needs is erased. A replica of a group that the order
    /// has just added may come later: it needs nothing of what is there but the configurations.
    [[nodiscard]] Result<consensus::minbft::Primary::Recovered> load_primary(PrimaryId primary);
    [[nodiscard]] Result<consensus::minbft::Replica::Recovered> load_replica(GroupId group,
                                                                             Position position);
    /// `owner` appends no more, and nothing is kept for it: its group is gone.
    void forget(const consensus::Endpoint& owner);

    /// Of every configuration that an engine of ours has followed.
    Result<void> scan_barriers(std::vector<consensus::BarrierCertPtr>& barriers) const;
    Result<void> load_barriers(std::vector<consensus::BarrierCertPtr>& barriers);

    // LogReader; thread-safe. What is still queued is not seen.
    [[nodiscard]] std::optional<consensus::Prepare> prepare(PrimaryId primary,
                                                            Counter cv) const override;
    [[nodiscard]] std::optional<consensus::Commit> vote(GroupId group, Position position,
                                                        Counter cv) const override;
    [[nodiscard]] std::optional<consensus::NewView> new_view(PrimaryId primary,
                                                             Counter cv) const override;
    [[nodiscard]] consensus::ViewChangePtr view_change(GroupId group, Position position,
                                                       Counter cv) const override;
    [[nodiscard]] consensus::HeaderPtr header(const Digest& hd) const override;
    [[nodiscard]] consensus::ViewCertPtr view_cert(const Digest& nvd) const override;
    [[nodiscard]] std::optional<consensus::VoidCert> void_cert(const consensus::StreamId& stream,
                                                               Counter cv) const override;
    [[nodiscard]] consensus::Body body(const Digest& rd) const override;
    [[nodiscard]] std::vector<consensus::Body> bodies_of(Slot slot) const override;
    [[nodiscard]] std::optional<Counter> next_from(const consensus::StreamId& stream,
                                                   Counter from) const override;
    [[nodiscard]] bool once_owned(GroupId group, PartitionId partition) const override;

    /// Roughly what waits to be written. Above backlog_bytes_max the node stops reading its
    /// sockets.
    [[nodiscard]] std::size_t backlog_bytes() const;
    static constexpr std::size_t backlog_bytes_max = 64 * 1024 * 1024;

    struct Report {
        std::uint64_t records = 0;
        std::uint64_t writes =
            0;  ///< batches, one sync each unless nothing in it was to be durable
        std::uint64_t bytes = 0;
        std::uint64_t bytes_on_disk = 0;
    };
    [[nodiscard]] Report report() const;

private:
    struct Entry {
        consensus::Endpoint owner;
        Bytes key;
        consensus::LogRecord record;
    };
    struct Pending {
        std::vector<Entry> entries;
        bool durable = false;
        std::function<void()> done;
    };

    void run();
    Result<void> write(std::vector<Pending>& group);
    bool is_repetition(const Bytes& key);
    [[nodiscard]] Bytes key_of(const consensus::Endpoint& owner,
                               const consensus::LogRecord& record) const;
    template <class Record>
    [[nodiscard]] std::optional<Record> read(const Bytes& key) const;
    template <class Record>
    Result<void> scan(const Bytes& prefix, const Bytes& from,
                      const std::function<void(Record&&)>& visit) const;
    Result<void> load_ordering(consensus::minbft::Replica::Recovered& log) const;
    Result<void> load_votes(consensus::minbft::Replica::Recovered& log, GroupId group,
                            Position position) const;
    Result<void> load_views(consensus::minbft::Replica::Recovered& log, GroupId group,
                            Position position);
    Result<void> load_equivocations(std::vector<consensus::EquivocationProof>& proofs) const;
    Result<void> load_voids(std::vector<consensus::VoidCert>& voids) const;
    void load_bodies(consensus::minbft::Replica::Recovered& log, GroupId group) const;

    boost::asio::io_context& loop_;
    storage::Store& store_;
    const consensus::Membership& genesis_;
    consensus::Membership membership_;  ///< as of the newest configuration in the log
    /// What lies under a primary's name, or a member's: later ones have theirs (loop's thread).
    void follow(const consensus::Configuration& configuration);
    std::function<void(Error)> failed_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Pending> queue_;
    std::size_t queued_bytes_ = 0;
    bool urgent_ = false;  ///< somebody waits for what is queued
    bool stopping_ = false;
    Report report_;

    // The writer's own: keys written lately, because every group of a process logs the same
    // PREPAREs.
    std::unordered_set<std::string> recent_, older_;
    std::mutex retention_mutex_;  ///< the writer's, but for who begins and who ends
    Retention retention_;

    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read on the loop only
    std::thread thread_;
};

}  // namespace bft::host
