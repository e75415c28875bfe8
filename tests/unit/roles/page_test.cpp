#include "roles/page.hpp"

#include <gtest/gtest.h>

namespace bft::roles {
namespace {

catalog::Procedure procedure() {
    catalog::Procedure made;
    made.name = "statement";
    made.parameters.resize(2);
    made.parameters[0].name = "account";
    made.parameters[1].name = "note";
    made.parameters[1].type = catalog::Type::string;
    return made;
}

consensus::Reply reply(const catalog::CallResult& result) {
    consensus::Reply made;
    made.slot = Slot(12);
    made.ts_ms = 1000;
    made.answer.result = catalog::encode_result(result);
    return made;
}

std::string render(const std::string& text, const consensus::Reply& of) {
    return render_page(text, procedure(), {"statement", {std::int64_t{7}, std::string("<b>&\"")}},
                       of);
}

TEST(Page, ShowsResultSetsAndArguments) {
    catalog::CallResult result{{{2, {{std::int64_t{1}, "a"}, {std::int64_t{2}, "b"}}}, {1, {}}}};
    EXPECT_EQ(render("{{arguments.account}}:{{#set0}}[{{c0}}={{c1}}]{{/set0}}{{^set1}}none{{/set1}}"
                     "{{#row0}}{{c1}}{{/row0}}@{{slot}}",
                     reply(result)),
              "7:[1=a][2=b]nonea@12");
}

TEST(Page, EscapesForHtml) {
    catalog::CallResult result{{{1, {{"<script>alert('x')</script>"}}}}};
    std::string page = render("{{#set0}}{{c0}}{{/set0}} {{arguments.note}}", reply(result));
    EXPECT_EQ(page.find('<'), std::string::npos) << page;
    EXPECT_EQ(page.find('"'), std::string::npos) << page;
}

TEST(Page, SaysHowItEnded) {
    consensus::Reply aborted;
    aborted.answer.outcome = consensus::Outcome::aborted;
    aborted.answer.code = 45003;
    EXPECT_EQ(render("{{#ok}}yes{{/ok}}{{#aborted}}{{outcome}} {{code}}{{/aborted}}", aborted),
              "aborted 45003");
}

TEST(Page, IsUtf8WhateverTheDatabaseHolds) {
    catalog::CallResult result{{{2, {{std::string("\xff\xfe"), catalog::Value()}}}}};
    EXPECT_EQ(render("{{#set0}}{{c0}}|{{c1}}|{{/set0}}", reply(result)), "__4||");
}

TEST(Page, WrongTemplatesAreToldApart) {
    EXPECT_TRUE(check_template("{{#a}}{{b}}{{/a}}"));
    EXPECT_FALSE(check_template("{{#a}}{{b}}"));
    EXPECT_FALSE(check_template("{{b"));
}

}  // namespace
}  // namespace bft::roles
