#include "rig.hpp"

#include <algorithm>
#include <iostream>

namespace bft::database::testing {
namespace {

constexpr const char* kCatalog = R"TOML(
[application]
name = "bank"
version = 1
[tables.account]
partition_column = "branch"
[tables.journal]
partition_column = "branch"
[procedures.open_account]
params = [{name="branch", type="int"}, {name="id", type="int"}, {name="amount", type="decimal", precision=10, scale=2}, {name="note", type="string", max=40, nullable=true}]
partitions = ["branch"]
[procedures.transfer]
params = [{name="source", type="int"}, {name="target", type="int"}, {name="id", type="int"}, {name="amount", type="decimal", precision=10, scale=2}]
partitions = ["source", "target"]
[procedures.add_many]
params = [{name="branch", type="int"}, {name="rows", type="rows", columns=["int", "decimal(10,2)", "string(40)?"], max_rows=100}]
partitions = ["branch"]
[procedures.fail]
params = [{name="branch", type="int"}, {name="how", type="string", max=20}]
partitions = ["branch"]
[procedures.echo]
params = [{name="branch", type="int"}, {name="note", type="string", max=40, nullable=true}]
partitions = ["branch"]
[procedures.big]
params = [{name="branch", type="int"}, {name="bytes", type="int"}]
partitions = ["branch"]
[procedures.slow]
params = [{name="branch", type="int"}, {name="steps", type="int"}]
partitions = ["branch"]
)TOML";

constexpr const char* kSchema = R"SQL(
CREATE TABLE account (
  branch INT NOT NULL, id INT NOT NULL, amount DECIMAL(10,2) NOT NULL CHECK (amount >= 0),
  note VARCHAR(40), PRIMARY KEY (branch, id)) ENGINE=InnoDB;
CREATE TABLE journal (
  branch INT NOT NULL, id INT NOT NULL, at DATETIME(3) NOT NULL, draw INT NOT NULL, total DECIMAL(12,2),
  PRIMARY KEY (branch, id)) ENGINE=InnoDB;
)SQL";

// "journal" counts what was executed: a transaction that ran twice, or not at all, is seen there.
constexpr const char* kProcedures = R"SQL(
DELIMITER //
CREATE PROCEDURE note_down(p_branch INT)
BEGIN
  DECLARE v_id INT;
  DECLARE v_draw INT;
  DECLARE v_total DECIMAL(12,2);
  SET v_draw = FLOOR(RAND() * 1000000);
  SELECT COALESCE(MAX(id), 0) + 1 INTO v_id FROM journal WHERE branch = p_branch;
  SELECT SUM(amount) INTO v_total FROM account WHERE branch = p_branch;
  INSERT INTO journal (branch, id, at, draw, total) VALUES (p_branch, v_id, NOW(3), v_draw, v_total);
END//
CREATE PROCEDURE open_account(p_branch INT, p_id INT, p_amount DECIMAL(10,2), p_note VARCHAR(40))
BEGIN
  INSERT INTO account VALUES (p_branch, p_id, p_amount, p_note);
  CALL note_down(p_branch);
END//
CREATE PROCEDURE transfer(p_source INT, p_target INT, p_id INT, p_amount DECIMAL(10,2))
BEGIN
  DECLARE v_left DECIMAL(10,2);
  UPDATE account SET amount = amount + p_amount WHERE branch = p_target AND id = p_id;
  SELECT amount INTO v_left FROM account WHERE branch = p_source AND id = p_id;
  IF v_left < p_amount THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1001, MESSAGE_TEXT = 'not enough';
  END IF;
  UPDATE account SET amount = amount - p_amount WHERE branch = p_source AND id = p_id;
  CALL note_down(p_source);
  SELECT id, amount, note FROM account WHERE branch = p_source ORDER BY id;
  SELECT at, draw FROM journal WHERE branch = p_source ORDER BY id DESC LIMIT 1;
END//
CREATE PROCEDURE add_many(p_branch INT, p_rows JSON)
BEGIN
  INSERT INTO account SELECT p_branch, j.id, j.amount, j.note FROM JSON_TABLE(p_rows, '$[*]' COLUMNS (
    id INT PATH '$[0]', amount DECIMAL(10,2) PATH '$[1]', note VARCHAR(40) PATH '$[2]')) AS j;
  SELECT id, amount, note FROM account WHERE branch = p_branch ORDER BY id;
END//
CREATE PROCEDURE fail(p_branch INT, p_how VARCHAR(20))
BEGIN
  DECLARE v_number INT DEFAULT 0;
  DECLARE v_short VARCHAR(2);
  INSERT INTO account VALUES (p_branch, 999, 1, 'must not stay');
  CASE p_how
    WHEN 'signal' THEN SIGNAL SQLSTATE '45000';
    WHEN 'signal_1213' THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1213;
    WHEN 'unique' THEN INSERT INTO account VALUES (p_branch, 999, 1, NULL);
    WHEN 'null' THEN INSERT INTO account VALUES (p_branch, 998, NULL, NULL);
    WHEN 'check' THEN INSERT INTO account VALUES (p_branch, 998, -1, NULL);
    WHEN 'division' THEN UPDATE account SET amount = amount / v_number WHERE branch = p_branch;
    WHEN 'range' THEN UPDATE account SET amount = amount * 1000000000 WHERE branch = p_branch;
    WHEN 'bigint' THEN SET v_number = 9223372036854775807 + 1;
    WHEN 'long' THEN SET v_short = 'long';
    WHEN 'value' THEN INSERT INTO account VALUES (p_branch, p_how, 1, NULL);
    WHEN 'rows' THEN
      INSERT INTO account VALUES (p_branch, 998, 1, NULL);
      SELECT id INTO v_number FROM account WHERE branch = p_branch;
    WHEN 'grouping' THEN SELECT id, SUM(amount) FROM account WHERE branch = p_branch ORDER BY id;
    WHEN 'inexact' THEN SELECT AVG(LENGTH(note)) / 3 + CAST('1' AS CHAR) FROM account WHERE branch = p_branch;
  END CASE;
END//
CREATE PROCEDURE echo(p_branch INT, p_note VARCHAR(40))
  SELECT p_note, p_branch, NULL, 18446744073709551615, CAST(-5 AS SIGNED), NOW(3)//
CREATE PROCEDURE big(p_branch INT, p_bytes INT)
BEGIN
  INSERT INTO account VALUES (p_branch, p_bytes, 1, NULL);
  SELECT REPEAT('x', p_bytes);
END//
CREATE PROCEDURE slow(p_branch INT, p_steps INT)
BEGIN
  WHILE p_steps > 0 DO
    SET p_steps = p_steps - 1;
  END WHILE;
  CALL note_down(p_branch);
END//
)SQL";

}  // namespace

const catalog::Application& bank() {
    static const catalog::Application application =
        catalog::Application::parse("bank", kCatalog, kSchema, kProcedures).value();
    return application;
}

consensus::Execution Order::place(std::vector<PartitionId> parts) {
    consensus::Execution execution;
    execution.slot = Slot(++slot_);
    execution.item.ts_ms = 1700000000000 + slot_;
    execution.item.seed = slot_ * 7919;
    for (auto part : parts) {
        Seq& next = next_.try_emplace(part, Seq(1)).first->second;
        execution.item.seqs.push_back({part, next});
        next = next.next();
    }
    return execution;
}

consensus::Execution Order::call(const catalog::Call& call, std::vector<std::uint32_t> parts,
                                 std::uint64_t client) {
    std::sort(parts.begin(), parts.end());
    auto request = std::make_shared<consensus::Request>();
    for (auto part : parts) request->parts.emplace_back(part);
    std::uint64_t& cseq = cseq_[{parts.front(), client}];
    request->id = {ClientId(client), PartitionId(parts.front()), ClientSeq(++cseq)};
    request->ack_low = ClientSeq(cseq > 100 ? cseq - 100 : 1);
    request->op = catalog::encode_call(call);
    auto execution = place(request->parts);
    execution.item.rid = request->id;
    execution.body = std::move(request);
    return execution;
}

consensus::Execution Order::nop(std::vector<std::uint32_t> parts) {
    std::vector<PartitionId> ids;
    for (auto part : parts) ids.emplace_back(part);
    auto execution = place(ids);
    execution.item.kind = consensus::ItemKind::nop;
    return execution;
}

consensus::Execution Order::checkpoint(std::uint32_t branches, bool cut) {
    std::vector<PartitionId> ids;
    for (std::uint32_t part = 0; part <= branches; ++part) ids.emplace_back(part);
    auto execution = place(ids);
    execution.item.kind = consensus::ItemKind::checkpoint;
    execution.item.rid = {ClientId(0), PartitionId(0), ClientSeq(slot_)};
    execution.cut = cut;
    return execution;
}

consensus::Execution Order::again(const consensus::Execution& first) {
    auto execution = place(first.body->parts);
    execution.item.rid = first.item.rid;
    execution.body = first.body;
    return execution;
}

Rig::Rig(const ConnectOptions& connect, std::uint32_t workers, std::uint32_t voter, Digest cluster,
         const catalog::Application& application)
    : work_(io_.get_executor()) {
    ExecutorOptions& options = options_;
    options.connect = connect;
    options.connect.lock_wait = std::chrono::seconds(1);
    options.cluster = cluster;
    options.self = VoterId(voter);
    options.workers = workers;
    options.retry_max = std::chrono::milliseconds(100);
    options.install = true;
    executor_ = std::make_unique<OrderedExecutor>(
        io_, options, application,
        ExecutorHandlers{
            [this](std::vector<consensus::Executed> results) {
                for (auto& result : results) executed.push_back(std::move(result));
            },
            [this](consensus::Lookup lookup, std::vector<consensus::ItemResult> items) {
                found.emplace_back(std::move(lookup), std::move(items));
            },
            [this](const Alarm& alarm) { alarms.push_back(alarm); },
            [this](Slot slot) {
                if (cut) cut(slot);
            }});
}

void Rig::give(consensus::Execution execution) {
    while (!executor_->execute(execution)) io_.run_one_for(std::chrono::seconds(1));
}

bool Rig::run_until(const std::function<bool()>& done) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) {
            for (const auto& alarm : alarms)
                std::cerr << "alarm " << to_string(alarm.kind) << ": " << alarm.text << "\n";
            return false;
        }
        io_.run_one_for(std::chrono::milliseconds(100));
    }
    return true;
}

const consensus::ItemResult& Rig::only() {
    executed.clear();
    run_until_executed(1);
    return executed.at(0).result;
}

bool Rig::alarmed(Alarm::Kind kind) const {
    return std::any_of(alarms.begin(), alarms.end(),
                       [&](const Alarm& a) { return a.kind == kind; });
}

std::vector<consensus::Execution> random_load(std::uint64_t seed, std::size_t count,
                                              std::uint32_t branches, Order* given) {
    Prng prng(seed);
    Order own;
    Order& order = given != nullptr ? *given : own;
    std::vector<consensus::Execution> load;
    auto branch = [&] { return static_cast<std::uint32_t>(prng.between(1, branches)); };
    while (load.size() < count) {
        std::uint32_t source = branch();
        std::uint32_t target = branch();
        auto id = static_cast<std::int64_t>(prng.between(1, 20));
        std::string amount = std::to_string(prng.below(50)) + ".25";
        std::uint64_t client = prng.between(1, 5);
        std::int64_t home = source;
        switch (prng.below(10)) {
            case 0:
                load.push_back(order.nop({source}));
                break;
            case 1:
                if (!load.empty() && load.back().body) load.push_back(order.again(load.back()));
                break;
            case 2:
                load.push_back(
                    order.call({"fail", {home, std::string("signal")}}, {source}, client));
                break;
            case 3:
            case 4:
            case 5:
                load.push_back(order.call({"open_account", {home, id, amount, std::monostate{}}},
                                          {source}, client));
                break;
            default:
                if (source == target) break;
                load.push_back(order.call({"transfer", {home, std::int64_t{target}, id, amount}},
                                          {source, target}, client));
        }
    }
    return load;
}

}  // namespace bft::database::testing
