#include "database/call_sql.hpp"

#include "database/abort_code.hpp"

#include <gtest/gtest.h>

namespace bft::database {
namespace {

catalog::Application application() {
    auto parsed = catalog::Application::parse(
        "", R"TOML([application]
name = "a"
version = 1
[tables.t]
partition_column = "w"
[procedures.put]
params = [{name="w", type="int"}, {name="s", type="string", max=50, nullable=true},
          {name="d", type="decimal", precision=5, scale=2}, {name="r", type="rows", columns=["int","string(5)"], max_rows=2}]
partitions = ["w", "r.0"]
[procedures.look]
read_only = true
params = [{name="w", type="int"}]
partitions = ["w"]
)TOML",
        "CREATE TABLE t (w INT PRIMARY KEY);",
        "CREATE PROCEDURE put(w INT, s TEXT, d DECIMAL(5,2), r JSON) DELETE FROM t;"
        "CREATE PROCEDURE look(w INT) SELECT COUNT(*) FROM t;");
    EXPECT_TRUE(parsed) << parsed.error().what;
    return *parsed;
}

catalog::Call put(catalog::Argument text) {
    return {"put",
            {std::int64_t{-1}, std::move(text), std::string("-1.50"),
             catalog::Rows{{std::int64_t{2}, std::string("a")}}}};
}

TEST(CallSql, LiteralsCannotEscape) {
    EXPECT_EQ(call_sql(application(), put(std::string("Smith, J."))),
              "CALL `put`(-1,'Smith, J.',-1.50,_utf8mb4 x'5b5b322c2261225d5d')");
    EXPECT_EQ(call_sql(application(), put(std::monostate{})),
              "CALL `put`(-1,NULL,-1.50,_utf8mb4 x'5b5b322c2261225d5d')");
    EXPECT_EQ(call_sql(application(), put(std::string("'); DROP TABLE t; --"))),
              "CALL `put`(-1,_utf8mb4 x'27293b2044524f50205441424c4520743b202d2d',-1.50,"
              "_utf8mb4 x'5b5b322c2261225d5d')");
    EXPECT_EQ(quote_text("a\\"), "_utf8mb4 x'615c'");
    EXPECT_EQ(quote_text(""), "''");
    EXPECT_EQ(quote_name("a`b"), "`a``b`");
}

TEST(CallSql, TimeAndSeedComeFromTheItem) {
    consensus::DbItem item;
    item.ts_ms = 1700000000042;
    item.seed = 5;
    auto sql = environment_sql(item);
    EXPECT_TRUE(sql.starts_with("SET timestamp=1700000000.042,rand_seed1="));
    EXPECT_EQ(sql, environment_sql(item));
    item.index = 1;
    EXPECT_NE(sql, environment_sql(item));
    // Neither the server's clock nor an error.
    item.ts_ms = 0;
    EXPECT_TRUE(environment_sql(item).starts_with("SET timestamp=1.000,"));
    item.ts_ms = UINT64_MAX;
    EXPECT_TRUE(environment_sql(item).starts_with("SET timestamp=2147483646.999,"));
}

std::uint32_t code_of(const catalog::Call& call, std::vector<PartitionId> parts,
                      bool read_only = false) {
    consensus::Request request;
    request.op = catalog::encode_call(call);
    request.parts = std::move(parts);
    request.read_only = read_only;
    return prepare(application(), request).code;
}

TEST(Prepare, JudgesBeforeTheDatabaseIsAsked) {
    catalog::Call call{"put",
                       {std::int64_t{1}, std::string("x"), std::string("1.50"),
                        catalog::Rows{{std::int64_t{2}, std::string("a")}}}};
    EXPECT_EQ(code_of(call, {PartitionId(1), PartitionId(2), PartitionId(3)}), 0u);
    EXPECT_EQ(code_of(call, {PartitionId(1)}), number(AbortCode::partition_guard));
    EXPECT_EQ(code_of(call, {PartitionId(1), PartitionId(2)}, true),
              number(AbortCode::not_read_only));
    EXPECT_EQ(code_of({"none", {}}, {}), number(AbortCode::unknown_procedure));
    EXPECT_EQ(code_of({"put", {}}, {}), number(AbortCode::bad_arguments));
    EXPECT_EQ(code_of({"look", {std::int64_t{1}}}, {PartitionId(1)}, true), 0u);
    consensus::Request garbage;
    garbage.op = {9, 9, 9};
    EXPECT_EQ(prepare(application(), garbage).code, number(AbortCode::malformed_call));
}

}  // namespace
}  // namespace bft::database
