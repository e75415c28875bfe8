// Several ordered transactions in one SQL transaction, with their bookkeeping rows.
#pragma once

#include "catalog/application.hpp"
#include "consensus/voter.hpp"
#include "database/classify.hpp"
#include "database/session.hpp"
#include "database/steps.hpp"
#include "database/window_cache.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::database {

/// How one attempt to run a batch ended.
struct Attempt {
    enum class End : std::uint8_t {
        committed,       ///< durable, by this attempt or by an earlier one whose answer was lost
        again,           ///< rolled back to run at once without an item that turned out to abort
        retry,           ///< rolled back, or the connection must be given up; nothing is durable
        unknown,         ///< the connection broke, or COMMIT failed: it may be durable
        wrong_sequence,  ///< cbft_part is neither before nor behind this batch
        broken,          ///< a procedure ended the transaction
    };
    End end = End::retry;
    Verdict verdict = Verdict::retry;  ///< for retry
    std::string why;
    bool damage = false;  ///< for retry: something that must exist does not, see is_damage()
};

class Batch {
public:
    Batch(const catalog::Application& application, std::vector<consensus::Execution> executions);

    /// Runs everything and commits. May be called again after each end that is not `committed`.
    /// After `unknown` and after a `lost` verdict, `session` must be another one.
    Attempt attempt(Session& session, const WindowCache& cache);

    /// After `committed`: what to answer, and the windows as they are in the table.
    [[nodiscard]] std::vector<consensus::Executed> results() const;
    [[nodiscard]] const Windows& windows() const { return windows_; }
    /// The checkpoint slot at which the database is to be cut behind this batch.
    [[nodiscard]] std::optional<Slot> cut() const;
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    /// Calls that batch forms have run.
    [[nodiscard]] std::size_t ran_together() const { return ran_together_; }
    /// Whether it may be run as smaller batches instead: no attempt ended in `unknown`.
    [[nodiscard]] bool divisible() const { return items_.size() > 1 && !maybe_committed_; }
    /// Gives the items back, in order. Requires divisible().
    [[nodiscard]] std::vector<consensus::Execution> take_executions();

private:
    struct Item {
        consensus::Execution execution;
        std::string sql;           ///< the CALL; empty: nothing to run
        std::uint32_t forced = 0;  ///< abort code known without running it, or found out by running
        const catalog::Procedure* procedure = nullptr;
        std::string arguments;  ///< for the procedure's batch form
        // Of the current attempt:
        consensus::Outcome outcome = consensus::Outcome::ok;
        std::uint32_t code = 0;
        Bytes result;
        Digest rdig;

        /// Nothing is called: a NOP, a checkpoint or a configuration.
        [[nodiscard]] bool nop() const {
            return execution.item.kind != consensus::ItemKind::transaction;
        }
        [[nodiscard]] bool runs() const {
            return !sql.empty() && forced == 0 && outcome != consensus::Outcome::duplicate;
        }
    };
    /// rejected: what followed ran on effects that must not be, all of it runs again.
    enum class Read : std::uint8_t { done, aborted, rejected, failed, broken };
    struct TogetherResult {
        catalog::ResultEncoder encoder;
        bool left_out = false;
        bool inexact = false;
    };

    void plan();
    bool load_windows(Session& session, const WindowCache& cache);
    void take_into_windows();
    /// Where cbft_part stands: before or behind this batch, or elsewhere.
    enum class Stand : std::uint8_t { before, after, elsewhere };
    Stand stand(const std::map<PartitionId, Seq>& found) const;
    std::string part_sql() const;
    /// After an attempt whose COMMIT was not answered; nullopt: it has to be run again.
    std::optional<Attempt> resolve(Session& session);
    std::optional<Attempt> run_items(Session& session);
    std::optional<Attempt> read_start(Session& session);
    /// The calls that run, in steps; each by itself when `together_` is off.
    std::deque<Step> steps() const;
    std::string step_sql(const Step& step) const;
    /// Reads the first `count` steps and takes them off; what has to be run before the rest is put
    /// there.
    std::optional<Attempt> read_chunk(Session& session, std::deque<Step>& steps, std::size_t count);
    Read read_item(Session& session, Item& item);
    /// `left_out`: calls that the batch form did not run.
    Read read_together(Session& session, const Step& step, std::vector<std::size_t>& left_out);
    Read give_results(const Step& step, std::vector<TogetherResult>& results);
    std::vector<std::string> bookkeeping() const;
    Attempt commit(Session& session);
    Attempt failed(Session& session);
    static Attempt rolled_back(Session& session, Attempt attempt);

    const catalog::Application& application_;
    std::vector<Item> items_;
    std::map<PartitionId, Seq> before_;  ///< next_seq that the first item of each partition expects
    std::map<PartitionId, Seq> after_;
    bool together_ = true;  ///< batch forms are used: none of them has failed
    bool in_order_ = true;  ///< the items' numbers follow one another
    Windows windows_;
    bool rollback_pending_ = false;  ///< the last item aborted; its savepoint is still there
    bool maybe_committed_ = false;
    std::size_t ran_together_ = 0;
};

}  // namespace bft::database
