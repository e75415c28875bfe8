// A small application that keeps every rule.
#pragma once

namespace bft::catalog::sample {

inline constexpr const char* kCatalog = R"TOML([application]
name = "bank"
version = 1
global_tables = ["currency"]
[partition]
column_rule = "first column of every primary key"
[tables.account]
partition_column = "branch"
[procedures.transfer]
params = [
  {name = "source", type = "int"},
  {name = "moves", type = "rows", columns = ["int", "int", "decimal(12,2)", "string(4)?"], max_rows = 3},
  {name = "amount", type = "decimal", precision = 12, scale = 2},
  {name = "note", type = "string", max = 5, nullable = true},
]
partitions = ["source", "moves.1"]
[procedures.balance]
read_only = true
params = [{name = "branch", type = "int", min = 1, max = 10}]
partitions = ["branch"]
)TOML";

inline constexpr const char* kSchema = R"SQL(-- one row per account
CREATE TABLE account (
  branch INT NOT NULL,
  id INT NOT NULL,
  amount DECIMAL(12,2) NOT NULL CHECK (amount >= 0),
  note VARCHAR(20),
  PRIMARY KEY (branch, id),
  KEY by_note (branch, note)
) ENGINE=InnoDB;
CREATE TABLE currency (name CHAR(3) NOT NULL PRIMARY KEY) ENGINE = InnoDB;
)SQL";

inline constexpr const char* kProcedures = R"SQL(DELIMITER //
CREATE PROCEDURE transfer(IN p_source INT, IN p_moves JSON, IN p_amount DECIMAL(12,2), IN p_note VARCHAR(5))
BEGIN
  DECLARE v_now DATETIME DEFAULT NOW();
  DECLARE EXIT HANDLER FOR NOT FOUND SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 7;
  SET v_now = CURRENT_TIMESTAMP;
  UPDATE account SET amount = amount - p_amount, note = p_note WHERE branch = p_source ORDER BY id LIMIT 1;
  SELECT branch, id FROM account WHERE branch = p_source ORDER BY branch, id LIMIT 2;
END//
CREATE PROCEDURE balance(p_branch INT)
  SELECT COUNT(*), SUM(amount) FROM account WHERE branch = p_branch//
DELIMITER ;
)SQL";

}  // namespace bft::catalog::sample
