#include "catalog/application.hpp"

#include "sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace bft::catalog {
namespace {

using ::testing::HasSubstr;

Application bank() {
    auto application =
        Application::parse("bank", sample::kCatalog, sample::kSchema, sample::kProcedures);
    EXPECT_TRUE(application) << application.error().what;
    return *application;
}

Rows moves(std::int64_t to) {
    return {{std::int64_t{1}, to, std::string("1.00"), std::monostate{}}};
}
Call transfer() {
    return {"transfer", {std::int64_t{7}, moves(3), std::string("10.00"), std::string("hello")}};
}

TEST(Application, OneThatOrdersOnlyIsACatalogAlone) {
    const std::string catalog =
        "[application]\nname = \"log\"\nversion = 1\nkind = \"ordering\"\n"
        "[procedures.order]\nparams = [{name = \"p\", type = \"int\"}, "
        "{name = \"what\", type = \"string\", max = 9}]\npartitions = [\"p\"]\n";
    auto application = Application::parse("log", catalog, "", "");
    ASSERT_TRUE(application) << application.error().what;
    EXPECT_EQ(application->kind(), Kind::ordering);
    EXPECT_TRUE(application->check_call({"order", {std::int64_t{1}, std::string()}}));
    EXPECT_TRUE(application->fits(0));
    EXPECT_FALSE(application->fits(3)) << "databases would get nothing";
    EXPECT_FALSE(bank().fits(0)) << "nothing would run its procedures";
    EXPECT_TRUE(bank().fits(3));

    auto with_sql = Application::parse("log", catalog, sample::kSchema, "");
    ASSERT_FALSE(with_sql);
    EXPECT_THAT(with_sql.error().what, HasSubstr("nothing would run them"));
    std::string other = catalog;
    other.replace(other.find("ordering"), 8, "whatever");
    EXPECT_THAT(Application::parse("log", other, "", "").error().what, HasSubstr("'kind' must be"));
}

TEST(Application, ReadsAWholeOne) {
    auto application = bank();
    EXPECT_EQ(application.name(), "bank");
    EXPECT_EQ(application.version(), 1u);
    EXPECT_EQ(application.tables().at("account"), "branch");
    EXPECT_EQ(application.tables().at("currency"), "");
    EXPECT_EQ(application.schema().size(), 2u);
    EXPECT_EQ(application.routines().size(), 2u);
    EXPECT_EQ(application.routines()[1].line, 10u);
    EXPECT_TRUE(application.procedure("balance")->read_only);
    EXPECT_EQ(application.procedure("nothing"), nullptr);
}

TEST(Application, DigestBindsEveryFile) {
    auto digest = bank().digest();
    EXPECT_EQ(digest, bank().digest());
    std::string schema = std::string(sample::kSchema) + "-- more\n";
    auto other = Application::parse("", sample::kCatalog, schema, sample::kProcedures);
    ASSERT_TRUE(other);
    EXPECT_NE(digest, other->digest());
}

TEST(Application, PartitionsAreSortedAndUnique) {
    auto call = transfer();
    call.arguments[1] = Rows{moves(9)[0], moves(3)[0], moves(7)[0]};
    EXPECT_TRUE(bank().check_call(call));
    EXPECT_EQ(bank().partitions_of(call),
              (std::vector{PartitionId(3), PartitionId(7), PartitionId(9)}));
}

TEST(Application, CallsThatDoNotFitAreNamed) {
    auto application = bank();
    auto refused = [&](Call call) {
        auto checked = application.check_call(call);
        return checked ? std::string("accepted") : checked.error().what;
    };
    auto with = [](std::size_t at, Argument argument) {
        auto call = transfer();
        call.arguments[at] = std::move(argument);
        return call;
    };
    EXPECT_EQ(refused(transfer()), "accepted");
    EXPECT_EQ(refused(with(3, std::monostate{})), "accepted");
    EXPECT_EQ(refused(with(1, Rows{})), "accepted");
    EXPECT_EQ(refused(with(3, std::string("\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac!"))), "accepted");

    EXPECT_EQ(application.check_call({"nothing", {}}).error().code, Errc::not_found);
    EXPECT_THAT(refused({"transfer", {}}), HasSubstr("takes 4 arguments, not 0"));
    EXPECT_THAT(refused(with(0, std::string("7"))), HasSubstr("'source' must be an integer"));
    EXPECT_THAT(refused(with(0, std::monostate{})), HasSubstr("'source' must not be NULL"));
    EXPECT_THAT(refused(with(0, std::int64_t{0})), HasSubstr("a partition is a number from 1"));
    EXPECT_THAT(refused(with(0, std::int64_t{4294967296})), HasSubstr("a partition is a number"));
    EXPECT_THAT(refused(with(0, Rows{})), HasSubstr("'source' must not be rows"));
    EXPECT_THAT(refused(with(1, std::int64_t{1})), HasSubstr("'moves' must be rows"));
    EXPECT_THAT(refused(with(1, Rows(4, moves(1)[0]))), HasSubstr("at most 3 rows"));
    EXPECT_THAT(refused(with(1, Rows{{std::int64_t{1}}})), HasSubstr("row 0 must have 4 columns"));
    EXPECT_THAT(refused(with(1, moves(-1))), HasSubstr("a partition is a number"));
    EXPECT_THAT(refused(with(2, std::string("10.0"))), HasSubstr("'amount' must be a decimal"));
    EXPECT_THAT(refused(with(2, std::string("1; DROP TABLE account"))), HasSubstr("decimal"));
    EXPECT_THAT(refused(with(3, std::string("too long"))), HasSubstr("at most 5 characters"));
    EXPECT_THAT(refused(with(3, std::string("\xff"))), HasSubstr("valid UTF-8"));
    EXPECT_THAT(refused(with(3, std::string("\xed\xa0\x80"))), HasSubstr("valid UTF-8"));
    EXPECT_THAT(refused({"balance", {std::int64_t{11}}}), HasSubstr("from 1 to 10"));
}

TEST(Application, EveryMistakeIsReportedWithItsLine) {
    auto application = Application::parse("app", R"TOML([application]
nam = "x"
version = "one"
[tables.account]
[procedures.p]
params = [{name = "a", type = "text"}, {name = "b", type = "string"}]
partitions = ["c"]
)TOML",
                                          "CREATE TABLE other (id INT);", "");
    ASSERT_FALSE(application);
    const auto& what = application.error().what;
    EXPECT_THAT(what, HasSubstr("app/catalog.toml:2: [application]: unknown key 'nam'"));
    EXPECT_THAT(what, HasSubstr("app/catalog.toml:3: [application]: 'version' must be an integer"));
    EXPECT_THAT(what,
                HasSubstr("app/catalog.toml:4: [tables.account]: 'partition_column' is missing"));
    EXPECT_THAT(what,
                HasSubstr("app/catalog.toml:6: [procedures.p] parameter 'a': 'type' must be"));
    EXPECT_THAT(what, HasSubstr("app/catalog.toml:6: [procedures.p] parameter 'b': needs 'max'"));
    EXPECT_THAT(what, HasSubstr("app/catalog.toml:7: [procedures.p]: 'c' is neither"));
    EXPECT_THAT(what, HasSubstr("app/schema.sql:1: table 'other' is not in catalog.toml"));
    EXPECT_THAT(what, HasSubstr("app/schema.sql:1: table 'other' has no PRIMARY KEY"));
    EXPECT_THAT(what, HasSubstr("app/catalog.toml:5: procedure 'p' is not created"));
}

TEST(Application, BatchFormsAreProceduresOfTheirOwn) {
    const std::string_view toml = R"TOML([application]
name = "a"
version = 1
[tables.t]
partition_column = "w"
[procedures.put]
batch = "puts"
commutes_with = ["look"]
params = [{name="w", type="int"}]
partitions = ["w"]
[procedures.look]
read_only = true
params = [{name="w", type="int"}]
partitions = ["w"]
)TOML";
    const std::string schema = "CREATE TABLE t (w INT PRIMARY KEY);";
    const std::string plain =
        "CREATE PROCEDURE put(w INT) DELETE FROM t;"
        "CREATE PROCEDURE look(w INT) SELECT COUNT(*) FROM t;";
    auto whole = Application::parse("app", toml, schema,
                                    plain + "CREATE PROCEDURE puts(c TEXT) DELETE FROM t;");
    ASSERT_TRUE(whole) << whole.error().what;
    EXPECT_EQ(whole->procedure("put")->batch, "puts");
    const Procedure &put = *whole->procedure("put"), &look = *whole->procedure("look");
    EXPECT_TRUE(whole->commute(put, look));
    EXPECT_TRUE(whole->commute(look, put));
    EXPECT_FALSE(whole->commute(put, put));
    EXPECT_TRUE(whole->commute(look, look));

    auto missing = Application::parse("app", toml, schema, plain);
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().what, HasSubstr("the batch form 'puts' of 'put' is not created"));
    std::string itself(toml);
    itself.replace(itself.find("\"puts\""), 6, "\"look\"");
    itself.replace(itself.find("[\"look\"]"), 8, "[\"loot\"]");
    auto wrong = Application::parse("app", itself, schema, plain);
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().what, HasSubstr("'look' is a batch form and cannot be called"));
    EXPECT_THAT(wrong.error().what, HasSubstr("commutes with 'loot', which is no procedure"));
}

TEST(Application, BrokenTomlAndMissingFilesAreOneSentence) {
    auto broken = Application::parse("", "[application\n", "", "");
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().what, HasSubstr("catalog.toml:1: "));
    auto missing = Application::load("/nonexistent/application");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().what,
                HasSubstr("/nonexistent/application/schema.sql: cannot be read"));
}

}  // namespace
}  // namespace bft::catalog
