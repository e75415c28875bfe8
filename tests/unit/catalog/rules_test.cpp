// Each rule by an example that breaks it.
#include "catalog/rules.hpp"

#include "catalog/application.hpp"
#include "sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::catalog {
namespace {

using ::testing::HasSubstr;

std::string problems(const std::string& schema, const std::string& procedures) {
    auto application = Application::parse("", sample::kCatalog, schema, procedures);
    return application ? "accepted" : application.error().what;
}

/// The sample with `statement` put into the body of transfer(); it is on line 6.
std::string in_body(const std::string& statement) {
    std::string text = sample::kProcedures;
    text.insert(text.find("  SET v_now"), statement + "\n");
    return problems(sample::kSchema, text);
}
std::string in_schema(const std::string& before, const std::string& after) {
    std::string text = sample::kSchema;
    text.replace(text.find(before), before.size(), after);
    return problems(text, sample::kProcedures);
}

struct Case {
    const char* statement;
    const char* reason;  ///< "accepted" when it is fine
};

class Bodies : public ::testing::TestWithParam<Case> {};

TEST_P(Bodies, AreJudged) {
    auto what = in_body(GetParam().statement);
    EXPECT_THAT(what, HasSubstr(GetParam().reason)) << GetParam().statement;
    if (std::string_view(GetParam().reason) != "accepted") {
        EXPECT_THAT(what, HasSubstr("procedures.sql:6: ")) << GetParam().statement;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Bodies,
    ::testing::Values(
        Case{"SET v_now = NOW(3);", "accepted"}, Case{"SET v_now = SYSDATE();", "SYSDATE()"},
        Case{"SET v_now = FLOOR(RAND() * 10);", "accepted"},
        Case{"UPDATE account SET amount = RAND();", "RAND()"},
        Case{"SET v_now = (SELECT RAND() FROM account);", "RAND()"},
        Case{"INSERT INTO account SELECT 1, UUID(), 2, 3;", "UUID()"},
        Case{"SET v_now = uuid_short();", "UUID_SHORT()"},
        Case{"SET v_now = CONNECTION_ID();", "CONNECTION_ID()"},
        Case{"SET v_now = CURRENT_USER;", "CURRENT_USER"}, Case{"SET v_now = USER();", "USER()"},
        Case{"SET v_now = @@hostname;", "@@hostname"}, Case{"SET @a = 1;", "@a is a user variable"},
        Case{"SELECT @a := 1;", "@a is a user variable"}, Case{"DO SLEEP(1);", "SLEEP()"},
        Case{"DO GET_LOCK('a', 1);", "GET_LOCK()"},
        Case{"SET v_now = LOAD_FILE('x');", "LOAD_FILE()"},
        Case{"SET v_now = FOUND_ROWS();", "FOUND_ROWS()"},
        Case{"SET v_now = ROW_COUNT();", "ROW_COUNT()"},
        Case{"SET v_now = LAST_INSERT_ID();", "LAST_INSERT_ID()"},
        Case{"SET v_now = 1e3;", "floating-point literal"}, Case{"SET v_now = 0x1e;", "accepted"},
        Case{"SET v_now = SQRT(2);", "SQRT()"},
        Case{"CREATE TEMPORARY TABLE t (a INT);", "TEMPORARY"},
        Case{"ALTER TABLE account ADD x INT;", "ALTER is refused"},
        Case{"TRUNCATE account;", "TRUNCATE is refused"}, Case{"COMMIT;", "COMMIT is refused"},
        Case{"START TRANSACTION;", "START is refused"}, Case{"ROLLBACK;", "ROLLBACK is refused"},
        Case{"IF 1 THEN COMMIT; END IF;", "COMMIT is refused"},
        Case{"SAVEPOINT a;", "SAVEPOINT is refused"},
        Case{"PREPARE s FROM 'x';", "PREPARE is refused"},
        Case{"EXECUTE IMMEDIATE 'x';", "EXECUTE is refused"},
        Case{"GET DIAGNOSTICS v_now = NUMBER;", "GET is refused"},
        Case{"SET autocommit = 1;", "SET autocommit"},
        Case{"SET SESSION sql_mode = '';", "SET SESSION"},
        Case{"SET timestamp = 5;", "SET timestamp"},
        Case{"SELECT id FROM account;", "needs an ORDER BY"},
        Case{"SELECT MAX(id) FROM account;", "accepted"},
        Case{"SELECT MAX(id) FROM account GROUP BY note;", "needs an ORDER BY"},
        Case{"SELECT 1, p_source;", "accepted"},
        Case{"SELECT id INTO v_now FROM account WHERE branch = 1 AND id = 1;", "accepted"},
        Case{"SELECT id INTO v_now FROM account LIMIT 1;", "LIMIT without ORDER BY"},
        Case{"DELETE FROM account LIMIT 1;", "LIMIT without ORDER BY"},
        Case{"SELECT id FROM (SELECT id FROM account LIMIT 3) x ORDER BY id;", "LIMIT without"},
        Case{"SELECT GROUP_CONCAT(id) FROM account ORDER BY 1;", "GROUP_CONCAT()"},
        Case{"SELECT GROUP_CONCAT(id ORDER BY id) FROM account ORDER BY 1;", "accepted"},
        Case{"DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;", "SQLEXCEPTION"},
        Case{"DECLARE EXIT HANDLER FOR 1213 BEGIN END;", "error 1213"},
        Case{"DECLARE EXIT HANDLER FOR NOT FOUND, SQLSTATE '40001' BEGIN END;", "40001"},
        Case{"DECLARE EXIT HANDLER FOR 1062, SQLSTATE VALUE '23000' BEGIN END;", "accepted"},
        Case{"DECLARE CONTINUE HANDLER FOR NOT FOUND COMMIT;", "COMMIT is refused"},
        Case{"DECLARE c CURSOR FOR SELECT id FROM account;", "a cursor needs an ORDER BY"},
        Case{"INSERT INTO currency VALUES ('EUR');", "read-only"},
        Case{"UPDATE currency SET name = 'x';", "read-only"},
        Case{"DELETE FROM currency WHERE 1;", "read-only"},
        Case{"INSERT INTO cbft_part VALUES (1, 1);", "belongs to the voter"},
        Case{"UPDATE other.account SET amount = 1;", "names a table with its database"},
        Case{"SELECT a.id FROM account a JOIN mysql.user u ORDER BY 1;", "catalog"},
        Case{"SELECT TRIM(LEADING '0' FROM a.note) FROM account a ORDER BY a.branch, a.id;",
             "accepted"},
        Case{"CALL elsewhere();", "not a procedure of this application"},
        Case{"SELECT id FROM account ORDER BY id FOR UPDATE SKIP LOCKED;", "SKIP LOCKED"},
        Case{"/*!50000 COMMIT */;", "executable comment"}, Case{"-- COMMIT; RAND() @a", "accepted"},
        Case{"SET v_now = 'RAND() @a it''s \\' COMMIT;';", "accepted"},
        Case{"SET v_now = REPEAT('x', 3);", "accepted"}));

TEST(Schema, IsJudged) {
    EXPECT_EQ(in_schema("note", "note"), "accepted");
    EXPECT_THAT(in_schema("ENGINE=InnoDB", "ENGINE=MyISAM"), HasSubstr("schema.sql:9: "));
    EXPECT_THAT(in_schema("ENGINE=InnoDB", "ENGINE=MEMORY"),
                HasSubstr("the engine must be InnoDB"));
    EXPECT_THAT(in_schema("id INT NOT NULL", "id INT NOT NULL AUTO_INCREMENT"),
                HasSubstr("AUTO_INCREMENT"));
    EXPECT_THAT(in_schema("amount DECIMAL(12,2)", "amount DOUBLE"),
                HasSubstr("schema.sql:5: DOUBLE"));
    EXPECT_THAT(in_schema("PRIMARY KEY (branch, id)", "PRIMARY KEY (id, branch)"),
                HasSubstr("must begin with the partition column 'branch'"));
    EXPECT_THAT(in_schema("(branch, note)", "(note)"), HasSubstr("schema.sql:8: "));
    EXPECT_THAT(in_schema("  PRIMARY KEY (branch, id),\n", ""), HasSubstr("has no PRIMARY KEY"));
    EXPECT_THAT(in_schema("CREATE TABLE account", "CREATE TEMPORARY TABLE account"),
                HasSubstr("TEMPORARY"));
    EXPECT_THAT(in_schema("CREATE TABLE currency", "CREATE TABLE money"),
                HasSubstr("table 'money' is not in catalog.toml"));
    EXPECT_THAT(in_schema("-- one", "DROP TABLE account; -- one"), HasSubstr("not DROP"));
    EXPECT_THAT(in_schema("note VARCHAR(20)", "note VARCHAR(20) DEFAULT (UUID())"),
                HasSubstr("UUID()"));
    EXPECT_THAT(in_schema("note VARCHAR(20)", "note INT REFERENCES currency (name)"),
                HasSubstr("REFERENCES"));
}

TEST(Routines, MustFitTheCatalog) {
    std::string text = sample::kProcedures;
    auto with = [&](const std::string& before, const std::string& after) {
        std::string changed = text;
        changed.replace(changed.find(before), before.size(), after);
        return problems(sample::kSchema, changed);
    };
    EXPECT_THAT(with("IN p_source INT, ", ""),
                HasSubstr("has 3 parameters here and 4 in catalog.toml"));
    EXPECT_THAT(with("p_source INT", "p_source VARCHAR(5)"), HasSubstr("does not take"));
    EXPECT_THAT(with("IN p_source", "OUT p_source"), HasSubstr("OUT parameters"));
    EXPECT_THAT(with("PROCEDURE balance", "PROCEDURE other"),
                HasSubstr("'balance' is not created"));
    EXPECT_THAT(with("SELECT COUNT(*), SUM(amount) FROM account WHERE branch = p_branch",
                     "DELETE FROM account"),
                HasSubstr("read_only"));
    EXPECT_THAT(with("DELIMITER //", ""), HasSubstr("needs a DELIMITER line"));
    EXPECT_THAT(with("DELIMITER ;", "GRANT ALL ON *.* TO x //"), HasSubstr("not GRANT"));
    EXPECT_THAT(with("CREATE PROCEDURE balance", "CREATE DEFINER=root@localhost PROCEDURE balance"),
                HasSubstr("DEFINER"));
}

}  // namespace
}  // namespace bft::catalog
