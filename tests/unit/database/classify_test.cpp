#include "database/classify.hpp"

#include "database/server_version.hpp"

#include <gtest/gtest.h>

namespace bft::database {
namespace {

Meaning of(unsigned number, const char* state, const char* text = "") {
    return classify({number, state, text});
}

TEST(Classify, RulesOfTheApplicationAreAborts) {
    EXPECT_EQ(of(1644, "45000").number(), 101644u);
    EXPECT_EQ(of(1001, "45000").number(), 101001u);
    // Even where the procedure takes the number of an accident.
    EXPECT_EQ(of(1213, "45000").verdict, Verdict::abort);
    EXPECT_EQ(of(1062, "23000").code, AbortCode::unique_violation);
    EXPECT_EQ(of(4025, "23000").code, AbortCode::check_violation);
    EXPECT_EQ(of(1365, "22012").code, AbortCode::division_by_zero);
    EXPECT_EQ(of(1406, "22001").code, AbortCode::data_too_long);
    EXPECT_EQ(of(1690, "22003").code, AbortCode::numeric_out_of_range);
    EXPECT_EQ(of(1329, "02000").code, AbortCode::no_data);
    EXPECT_EQ(of(4038, "HY000").code, AbortCode::bad_value);
    EXPECT_EQ(of(9999, "22999").code, AbortCode::bad_value);
    EXPECT_EQ(of(1644, "99999").code, AbortCode::unhandled_condition);
}

TEST(Classify, AccidentsAreNever) {
    for (unsigned number : {1213u, 1205u, 1037u, 1038u, 1041u, 1053u, 1317u, 1969u, 3024u, 1146u,
                            1305u, 1290u, 1030u, 1180u, 64000u})
        EXPECT_EQ(of(number, "HY000").verdict, Verdict::retry) << number;
    EXPECT_EQ(of(1213, "40001").verdict, Verdict::retry);
    for (unsigned number : {2002u, 2006u, 2013u, 1927u, 4031u})
        EXPECT_EQ(of(number, "HY000").verdict, Verdict::lost) << number;
    for (unsigned number : {1021u, 1114u, 1026u, 3u})
        EXPECT_EQ(of(number, "HY000").verdict, Verdict::disk_full) << number;
    EXPECT_EQ(
        of(1030, "HY000", "Got error 28 \"No space left on device\" from storage engine").verdict,
        Verdict::disk_full);
}

TEST(Classify, AbortsHaveNames) {
    EXPECT_EQ(describe_abort(number(AbortCode::partition_guard)), "partition_guard");
    EXPECT_EQ(describe_abort(application_code(1001)), "application 1001");
    EXPECT_EQ(describe_abort(77), "code 77");
}

TEST(ServerVersion, OldMariadbIsNamed) {
    for (const char* version :
         {"10.11.18-MariaDB-0+deb12u1", "10.11.4-MariaDB", "10.6.21-MariaDB-log",
          "5.5.5-10.11.6-MariaDB-0+deb12u1", "MariaDB"})
        EXPECT_NE(determinism_hole(version), "") << version;
    for (const char* version :
         {"10.11.19-MariaDB-0+deb12u1", "10.11.20-MariaDB", "11.4.2-MariaDB-log",
          "5.5.5-10.11.19-MariaDB", "8.0.36", "8.0.36-0ubuntu0.22.04.1", ""})
        EXPECT_EQ(determinism_hole(version), "") << version;
}

}  // namespace
}  // namespace bft::database
