#include "node/provisioner.hpp"

#include "fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Provisioner : public testing::Test {
protected:
    fs::path program(const std::string& script) {
        const fs::path path = folder_.write("provisioner", "#!/bin/sh\n" + script + "\n");
        fs::permissions(path, fs::perms::owner_all);
        return path;
    }
    Result<ProvisionerAnswer> start(const std::string& script, Duration patience = 20s) {
        return ask(program(script), {"start", "demo", "host4", {{"folder", "/etc/bftnode"}}},
                   patience);
    }

    TempFolder folder_;
};

TEST_F(Provisioner, GetsTheRequestAndIsUnderstood) {
    const auto answer = start(
        "cat >" + (folder_.path() / "request").string() +
        R"(; echo '{"version":1,"ok":true,"host":"host4","state":"running","changed":true,"pids":{}}')");
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(answer->state, "running");
    EXPECT_TRUE(answer->changed);
    EXPECT_TRUE(answer->document.contains("pids"));
    EXPECT_EQ(read_file(folder_.path() / "request"),
              R"({"version":1,"action":"start","cluster":"demo","host":"host4",)"
              R"("settings":{"folder":"/etc/bftnode"}})"
              "\n");
}

TEST_F(Provisioner, SaysWhetherAskingAgainMayHelp) {
    const auto again = start(R"(echo '{"version":1,"ok":false,"again":true,"error":"no route"}')");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::unavailable);
    EXPECT_EQ(again.error().what, "provisioner: no route");
    const auto never = start(R"(echo '{"version":1,"ok":false,"again":false,"error":"no such"}')");
    ASSERT_FALSE(never);
    EXPECT_EQ(never.error().code, Errc::refused);
}

TEST_F(Provisioner, ThatNeverEndsIsEnded) {
    const auto began = std::chrono::steady_clock::now();
    const auto answer = start("exec sleep 600", 50ms);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::unavailable);
    EXPECT_THAT(answer.error().what, HasSubstr("did not end within"));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 300s);
}

TEST_F(Provisioner, ThatIsNoneIsRefused) {
    const auto answer = ask(folder_.path() / "nothing", {"start", "demo", "host4", {}}, 1s);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::refused);
    EXPECT_THAT(answer.error().what, HasSubstr("cannot be run"));
    EXPECT_EQ(find_provisioner("nothing").error().code, Errc::not_found);
    EXPECT_EQ(find_provisioner("./nothing").value(), fs::path("./nothing"));
}

TEST(ProvisionerAnswer, OfWhoErrsIsNotBelieved) {
    const std::string good = R"({"version":1,"ok":true,"host":"host4","state":"absent"})";
    EXPECT_TRUE(read_answer(good, "host4"));
    EXPECT_FALSE(read_answer(good, "host5"));
    for (const std::string& bad :
         {std::string(), std::string("[]"), std::string("7"), std::string(2 << 20, '['),
          good + good, std::string(R"({"ok":true,"host":"host4","state":"absent"})"),
          std::string(R"({"version":2,"ok":true,"host":"host4","state":"absent"})"),
          std::string(R"({"version":1,"ok":1,"host":"host4","state":"absent"})"),
          std::string(R"({"version":1,"ok":true,"host":"host4","state":"well"})"),
          std::string(R"({"version":1,"ok":true,"host":4,"state":[]})")})
        EXPECT_FALSE(read_answer(bad, "host4")) << bad.substr(0, 80);
}

}  // namespace
}  // namespace bft::node
