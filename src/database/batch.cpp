#include "database/batch.hpp"

#include "base/invariant.hpp"
#include "consensus/signed_bytes.hpp"
#include "database/call_sql.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

namespace bft::database {

using consensus::Outcome;

namespace {

// What one round trip carries at most, besides its last statement: far below max_allowed_packet.
constexpr std::size_t kChunkBytes = 1024 * 1024;
// The same in every database of a cluster: it is part of what roots say.
constexpr std::uint64_t kExecSlotsKept = 16384;

std::uint64_t to_number(const std::string& text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

template <class Id>
std::string text_of(Id id) {
    return std::to_string(id.value);
}

Bytes to_bytes(const std::bitset<consensus::ClientWindow::size>& bits) {
    Bytes out(bits.size() / 8);
    for (std::size_t i = 0; i < bits.size(); ++i)
        if (bits[i]) out[i / 8] |= static_cast<std::uint8_t>(1u << (i % 8));
    return out;
}

std::bitset<consensus::ClientWindow::size> to_bits(std::string_view bytes) {
    std::bitset<consensus::ClientWindow::size> bits;
    for (std::size_t i = 0; i < bits.size() && i / 8 < bytes.size(); ++i)
        bits[i] = (static_cast<unsigned char>(bytes[i / 8]) >> (i % 8) & 1) != 0;
    return bits;
}

}  // namespace

Batch::Batch(const catalog::Application& application, std::vector<consensus::Execution> executions)
    : application_(application) {
    items_.reserve(executions.size());
    for (auto& execution : executions)
        items_.push_back({std::move(execution), {}, 0, nullptr, {}, {}, 0, {}, {}});
    plan();
}

void Batch::plan() {
    for (auto& item : items_) {
        invariant(item.nop() || item.execution.body != nullptr,
                  "a transaction comes with its body");
        if (!item.nop()) {
            auto prepared = prepare(application_, *item.execution.body);
            item.sql = std::move(prepared.sql);
            item.forced = prepared.code;
            item.procedure = prepared.procedure;
            item.arguments = std::move(prepared.arguments);
        }
        for (const auto& [partition, seq] : item.execution.item.seqs) {
            auto [next, first] = after_.try_emplace(partition, seq);
            if (first) before_.emplace(partition, seq);
            in_order_ &= next->second == seq;
            next->second = seq.next();
        }
    }
}

std::optional<Slot> Batch::cut() const {
    const consensus::Execution& last = items_.back().execution;
    return last.cut ? std::optional(last.slot) : std::nullopt;
}

std::vector<consensus::Execution> Batch::take_executions() {
    invariant(!maybe_committed_, "what may be durable is not divided");
    std::vector<consensus::Execution> out;
    for (auto& item : items_) out.push_back(std::move(item.execution));
    items_.clear();
    return out;
}

Attempt Batch::attempt(Session& session, const WindowCache& cache) {
    if (!in_order_)
        return {Attempt::End::wrong_sequence, {}, "the items of a batch do not follow one another"};
    if (maybe_committed_)
        if (auto ended = resolve(session)) return *ended;
    rollback_pending_ = false;
    ran_together_ = 0;
    for (auto& item : items_) {
        bool passed = item.execution.item.kind == consensus::ItemKind::nop;
        item.outcome = passed ? Outcome::duplicate : Outcome::ok;
        item.code = 0;
        item.result.clear();
    }
    if (!load_windows(session, cache)) return failed(session);
    take_into_windows();
    if (auto ended = run_items(session)) return *ended;
    return commit(session);
}

bool Batch::load_windows(Session& session, const WindowCache& cache) {
    windows_.clear();
    std::vector<WindowKey> missing;
    for (const auto& item : items_) {
        if (item.nop()) continue;
        WindowKey key{item.execution.item.rid.home, item.execution.item.rid.client};
        if (windows_.contains(key)) continue;
        auto cached = cache.find(key);
        windows_.emplace(key, cached.value_or(consensus::ClientWindow()));
        if (!cached) missing.push_back(key);
    }
    if (missing.empty()) return true;
    std::string sql;
    for (const auto& [home, client] : missing)
        sql += "SELECT low,bitmap FROM cbft_win WHERE home=" + text_of(home) +
               " AND client=" + text_of(client) + ";";
    session.send(sql);
    for (const auto& key : missing) {
        if (session.next() != Session::Part::result_set) return false;
        bool complete = session.read_rows([&](MYSQL_ROW row, const unsigned long* lengths) {
            windows_[key] = {ClientSeq(to_number({row[0], lengths[0]})),
                             to_bits({row[1], lengths[1]})};
        });
        if (!complete) return false;
    }
    return session.next() == Session::Part::end;
}

void Batch::take_into_windows() {
    for (auto& item : items_) {
        if (item.nop()) continue;
        const auto& rid = item.execution.item.rid;
        auto& window = windows_.at({rid.home, rid.client});
        if (!window.insert(rid.cseq, item.execution.body->ack_low)) {
            item.outcome = Outcome::duplicate;
        } else if (item.forced != 0) {
            item.outcome = Outcome::aborted;
            item.code = item.forced;
        }
    }
}

std::string Batch::part_sql() const {
    std::string sql = "SELECT part,next_seq FROM cbft_part WHERE part IN (";
    for (const auto& [partition, seq] : before_) sql += text_of(partition) + ",";
    sql.back() = ')';
    return sql + " FOR UPDATE";
}

Batch::Stand Batch::stand(const std::map<PartitionId, Seq>& found) const {
    auto equals = [&](const std::map<PartitionId, Seq>& expected) {
        for (const auto& [partition, seq] : expected) {
            auto row = found.find(partition);
            if ((row == found.end() ? Seq(1) : row->second) != seq) return false;
        }
        return true;
    };
    if (equals(before_)) return Stand::before;
    return equals(after_) ? Stand::after : Stand::elsewhere;
}

namespace {

/// The rows of part_sql(); nullopt when they did not arrive completely.
std::optional<std::map<PartitionId, Seq>> read_parts(Session& session) {
    std::map<PartitionId, Seq> found;
    if (session.next() != Session::Part::result_set) return std::nullopt;
    bool complete = session.read_rows([&](MYSQL_ROW row, const unsigned long* lengths) {
        found[PartitionId(static_cast<std::uint32_t>(to_number({row[0], lengths[0]})))] =
            Seq(to_number({row[1], lengths[1]}));
    });
    return complete ? std::optional(found) : std::nullopt;
}

void drain(Session& session) {
    auto ignore = [](MYSQL_ROW, const unsigned long*) {};
    for (auto part = session.next();; part = session.next()) {
        if (part == Session::Part::result_set && session.read_rows(ignore)) continue;
        if (part != Session::Part::ok) return;
    }
}

Attempt wrong_sequence() {
    return {
        Attempt::End::wrong_sequence,
        {},
        "cbft_part does not hold the sequence numbers that this voter left there: another process "
        "writes to this database, or it was put back to an older state"};
}

}  // namespace

// The old session's transaction may still be on its way. Either it has finished, or it holds the
// rows of cbft_part and this waits, or it has not begun to write and fails later on our rows of
// cbft_exec.
std::optional<Attempt> Batch::resolve(Session& session) {
    session.send("START TRANSACTION;" + part_sql());
    if (session.next() != Session::Part::ok) return failed(session);
    auto found = read_parts(session);
    if (!found) return failed(session);
    drain(session);
    switch (stand(*found)) {
        case Stand::after:
            return rolled_back(session, {Attempt::End::committed, {}, {}});
        case Stand::elsewhere:
            return rolled_back(session, wrong_sequence());
        case Stand::before:
            break;
    }
    auto ended = rolled_back(session, {Attempt::End::again, {}, {}});
    if (ended.end != Attempt::End::again) return ended;
    return std::nullopt;
}

std::deque<Step> Batch::steps() const {
    std::vector<OrderedCall> calls;
    std::deque<Step> singly;
    for (std::size_t i = 0; i < items_.size(); ++i) {
        const Item& item = items_[i];
        if (!item.runs()) continue;
        singly.push_back({0, nullptr, {i}});
        OrderedCall& call = calls.emplace_back(OrderedCall{i, item.procedure, {}});
        for (const auto& [partition, seq] : item.execution.item.seqs)
            call.partitions.push_back(partition);
    }
    return together_ ? plan_steps(application_, calls) : singly;
}

std::string Batch::step_sql(const Step& step) const {
    const Item& first = items_[step.calls.front()];
    if (step.together == nullptr)
        return "SAVEPOINT item;" + environment_sql(first.execution.item) + ";" + first.sql + ";";
    std::string rows = "[";
    for (std::size_t place = 0; place < step.calls.size(); ++place) {
        const Item& item = items_[step.calls[place]];
        if (place > 0) rows += ',';
        rows += "[" + std::to_string(place) + ",\"" + time_text(item.execution.item) + "\"," +
                item.arguments + "]";
    }
    return "SAVEPOINT item;CALL " + quote_name(step.together->batch) + "(" +
           quote_text(rows + "]") + ");";
}

std::optional<Attempt> Batch::run_items(Session& session) {
    bool started = false;
    auto todo = steps();
    do {
        std::string sql;
        if (!started) sql = "START TRANSACTION;" + part_sql() + ";";
        if (rollback_pending_) sql = "ROLLBACK TO SAVEPOINT item;";
        std::size_t count = 0;
        // What a batch form leaves out comes before what may not change places with it.
        std::optional<std::size_t> together;
        for (; count < todo.size() && sql.size() < kChunkBytes; ++count) {
            const Step& step = todo[count];
            if (together && step.level > *together) break;
            if (step.together != nullptr) together = step.level;
            sql += step_sql(step);
        }
        if (started && count == 0) return std::nullopt;
        session.send(sql);
        if (!started) {
            if (auto ended = read_start(session)) return ended;
        } else if (rollback_pending_ && session.next() != Session::Part::ok) {
            return failed(session);
        }
        started = true;
        rollback_pending_ = false;
        if (auto ended = read_chunk(session, todo, count)) return ended;
    } while (!todo.empty());
    return std::nullopt;
}

std::optional<Attempt> Batch::read_start(Session& session) {
    if (session.next() != Session::Part::ok) return failed(session);
    auto found = read_parts(session);
    if (!found) return failed(session);
    auto where = stand(*found);
    if (where == Stand::before) return std::nullopt;
    drain(session);
    // The lost COMMIT has arrived only now: look again.
    if (where == Stand::after && maybe_committed_)
        return rolled_back(session, {Attempt::End::retry, Verdict::retry, "a late commit"});
    return rolled_back(session, wrong_sequence());
}

std::optional<Attempt> Batch::read_chunk(Session& session, std::deque<Step>& steps,
                                         std::size_t count) {
    bool rejected = false, aborted = false;
    std::vector<std::size_t> singly;
    for (; count > 0 && !aborted; --count) {
        const Step step = std::move(steps.front());
        steps.pop_front();
        Item& first = items_[step.calls.front()];
        switch (step.together != nullptr ? read_together(session, step, singly)
                                         : read_item(session, first)) {
            case Read::done:
                break;
            case Read::rejected:
                rejected = true;
                break;
            case Read::failed:
                return failed(session);
            case Read::broken:
                return Attempt{Attempt::End::broken,
                               {},
                               "a procedure ended the transaction that it runs in: " +
                                   first.sql.substr(0, first.sql.find('('))};
            case Read::aborted:
                // The server has not looked at what follows.
                aborted = rollback_pending_ = true;
                break;
        }
    }
    // What followed a rejected call ran on its effects.
    if (rejected) {
        if (!aborted) drain(session);
        rollback_pending_ = false;
        return rolled_back(session, {Attempt::End::again, {}, {}});
    }
    std::ranges::sort(singly, std::greater());
    for (std::size_t call : singly) steps.push_front({0, nullptr, {call}});
    if (aborted) return std::nullopt;
    if (session.next() != Session::Part::end) return failed(session);
    return std::nullopt;
}

std::vector<std::string> Batch::bookkeeping() const {
    std::vector<std::string> statements;
    auto add = [&](const std::string& head, const std::string& row) {
        if (statements.empty() || !statements.back().starts_with(head) ||
            statements.back().size() > kChunkBytes)
            statements.push_back(head + row);
        else
            statements.back() += "," + row;
    };
    for (const auto& item : items_) {
        if (item.nop()) continue;
        const auto& rid = item.execution.item.rid;
        // A duplicate's row must not meet the rid of the one that was executed.
        std::string id =
            item.outcome == Outcome::duplicate
                ? "NULL,NULL,NULL"
                : text_of(rid.home) + "," + text_of(rid.client) + "," + text_of(rid.cseq);
        add("INSERT INTO cbft_exec (slot,idx,home,client,cseq,status,code,rdig,result) VALUES ",
            "(" + text_of(item.execution.slot) + "," + std::to_string(item.execution.item.index) +
                "," + id + "," + std::to_string(static_cast<unsigned>(item.outcome)) + "," +
                std::to_string(item.code) + "," + quote_bytes(item.rdig.view()) + "," +
                quote_bytes(item.result) + ")");
    }
    for (const auto& [partition, seq] : after_)
        add("INSERT INTO cbft_part (part,next_seq) VALUES ",
            "(" + text_of(partition) + "," + text_of(seq) + ")");
    statements.back() += " ON DUPLICATE KEY UPDATE next_seq=VALUES(next_seq)";
    for (const auto& [key, window] : windows_)
        add("INSERT INTO cbft_win (home,client,low,bitmap) VALUES ",
            "(" + text_of(key.first) + "," + text_of(key.second) + "," + text_of(window.low()) +
                "," + quote_bytes(to_bytes(window.bits())) + ")");
    if (!windows_.empty())
        statements.back() += " ON DUPLICATE KEY UPDATE low=VALUES(low),bitmap=VALUES(bitmap)";
    for (const auto& item : items_)
        if (const auto& config = item.execution.config)
            statements.push_back("REPLACE INTO cbft_cfg (id,version,config) VALUES (0," +
                                 text_of(config->version) + "," +
                                 quote_bytes(consensus::encode(*config)) + ")");
    // At a checkpoint every database forgets the same rows: those that no client may ask for any
    // more (C4), of slots that replicas do not send again. The windows are those of exactly this
    // point of the order, since a batch ends with its checkpoint item.
    const consensus::Execution& last = items_.back().execution;
    if (last.item.kind == consensus::ItemKind::checkpoint && last.slot.value > kExecSlotsKept)
        statements.push_back(
            "DELETE e FROM cbft_exec e LEFT JOIN cbft_win w ON w.home=e.home AND w.client=e.client"
            " WHERE e.slot<=" +
            std::to_string(last.slot.value - kExecSlotsKept) +
            " AND (e.client IS NULL OR e.cseq<w.low)");
    return statements;
}

Attempt Batch::commit(Session& session) {
    for (auto& item : items_)
        item.rdig = consensus::result_digest(item.outcome, item.code, item.result);
    auto statements = bookkeeping();
    if (rollback_pending_) statements.insert(statements.begin(), "ROLLBACK TO SAVEPOINT item");
    statements.emplace_back("COMMIT");
    for (std::size_t at = 0; at < statements.size();) {
        std::string sql;
        std::size_t end = at;
        for (; end < statements.size() && sql.size() < kChunkBytes; ++end)
            sql += statements[end] + ";";
        bool last = end == statements.size();
        session.send(sql);
        for (; at < end; ++at) {
            if (session.next() == Session::Part::ok) continue;
            // From here on only the table can tell.
            if (at + 1 == statements.size() || (last && session.last_error().lost())) {
                maybe_committed_ = true;
                return {Attempt::End::unknown, Verdict::lost, session.last_error().text};
            }
            return failed(session);
        }
        if (last) return {Attempt::End::committed, {}, {}};
        if (session.next() != Session::Part::end) return failed(session);
    }
    return {Attempt::End::committed, {}, {}};
}

Attempt Batch::failed(Session& session) {
    const SqlError failure = session.last_error();
    auto meaning = classify(failure);
    Attempt attempt{Attempt::End::retry, meaning.verdict,
                    "error " + std::to_string(failure.number) + ": " + failure.text,
                    is_damage(failure)};
    // Outside of a CALL nothing fails by rule.
    if (attempt.verdict == Verdict::abort) attempt.verdict = Verdict::retry;
    if (attempt.verdict == Verdict::lost) return attempt;
    return rolled_back(session, std::move(attempt));
}

Attempt Batch::rolled_back(Session& session, Attempt attempt) {
    auto done = session.run("ROLLBACK");
    if (done || attempt.end == Attempt::End::wrong_sequence ||
        attempt.end == Attempt::End::committed)
        return attempt;
    return {Attempt::End::retry, Verdict::lost, done.error().what};
}

std::vector<consensus::Executed> Batch::results() const {
    std::vector<consensus::Executed> out;
    out.reserve(items_.size());
    for (const auto& item : items_) {
        consensus::Executed executed;
        executed.group = item.execution.group;
        executed.slot = item.execution.slot;
        executed.seqs = item.execution.item.seqs;
        executed.result.index = item.execution.item.index;
        executed.result.rid = item.execution.item.rid;
        executed.result.outcome = item.outcome;
        executed.result.code = item.code;
        executed.result.rdig = item.rdig;
        executed.result.result = item.result;
        executed.result.has_result = true;
        out.push_back(std::move(executed));
    }
    return out;
}

}  // namespace bft::database
