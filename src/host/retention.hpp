// What the durable log forgets (CK5). A snapshot is where this host's restart begins; peers that
// were away go on from what is before it, so the log is kept from `retain` slots before the
// snapshot on. Erasing goes along with writing, a little each time.
#pragma once

#include "consensus/engine.hpp"
#include "storage/store.hpp"

#include <deque>
#include <map>
#include <optional>

namespace bft::host {

class Retention {
public:
    Retention(const storage::Store& store, const consensus::Membership& membership,
              std::uint64_t retain);

    /// Who writes to this log; each one before the first record is written. The log is kept for
    /// all.
    /// `kept_from`: of its own certified messages, those from there on are always kept.
    /// `newest_view`: so is this own NEW-VIEW.
    void expect(const consensus::Endpoint& owner, Counter kept_from, Slot newest,
                Counter newest_view = {});
    void expect_cert(View newest, Bytes key);
    /// It writes no more, and nothing is kept for it.
    void forget(const consensus::Endpoint& owner) { owners_.erase(owner); }

    /// On the writing thread: `record` of `owner` goes into `batch` under `key`.
    void note(const consensus::Endpoint& owner, ByteView key, const consensus::LogRecord& record,
              storage::Batch& batch);
    /// Adds some of what may go to `batch`. Errors are the store's.
    Result<void> sweep(storage::Batch& batch);

private:
    struct Mark {  ///< what a snapshot covered
        Slot slot{};
        std::vector<Counter> votes;     ///< by position
        std::vector<Counter> ordering;  ///< by primary
    };
    struct Owner {
        std::deque<Mark> marks;  ///< the first one is what may go
        /// Own certified messages that are always kept: of a replica since `base` of its vouches
        /// (CK4), of a primary since its newest NEW-VIEW or standing, which its recovery begins
        /// with.
        Counter kept_from{};
        Counter newest_view{};  ///< of a primary: its newest NEW-VIEW
        Slot cut{};
    };

    void note_snapshot(const consensus::Endpoint& owner, const consensus::SnapshotRecord& record);
    [[nodiscard]] static Counter reached(const consensus::OrderingTrack& track, Slot slot);
    void note_prepare(const consensus::Endpoint& owner, const consensus::Prepare& prepare);
    void note_cert(const consensus::ViewCert& cert, ByteView key, storage::Batch& batch);
    void expire(ByteView key, storage::Batch& batch, std::uint64_t later = 0) const;
    void cut_votes(const consensus::Endpoint& owner, Owner& state, storage::Batch& batch) const;
    void find_floor();
    Result<void> sweep_prepares(PrimaryId primary, storage::Batch& batch);
    Result<void> sweep_expired(storage::Batch& batch);

    const storage::Store& store_;
    std::uint64_t retain_;
    std::map<consensus::Endpoint, Owner> owners_;
    Slot generation_{};           ///< of what is written now: the newest snapshot
    Slot floor_{};                ///< nothing below is kept
    std::vector<Counter> cut_;    ///< by primary: PREPAREs below may go
    std::vector<Counter> swept_;  ///< likewise: they are gone
    Slot expired_{};              ///< what expired below is gone
    Slot bodies_cut_{};           ///< likewise: bodies of slots below
    std::optional<std::pair<View, Bytes>> newest_cert_;
};

}  // namespace bft::host
