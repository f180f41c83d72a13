#include "sidecar/route/explanation.h"

#include <string>

#include "gtest/gtest.h"
#include "sidecar/route/testing.h"

namespace weft::route {
namespace {

constexpr std::string_view kText = R"(
    rules {
      matches { group: "shop/g" name: "write" methods: "POST" methods: "PUT" }
      matches { group: "shop/g" name: "staff" path_regex: "/staff" }
      matches { group: "shop/g" name: "beta" headers { name: "cookie" regex: "version=beta" } }
      matches { group: "shop/g" name: "country" headers { name: "x-country" regex: "^fr$" } }
      matches { group: "shop/g" name: "user" cookies { name: "user" regex: "^7$" } }
    }
    rules { matches { group: "shop/h" name: "later" path_regex: "/later" } }
    rules {})";

TEST(ExplanationTest, SaysWhyEachMatchDidNotApply) {
  const auto destination = CompileText(kText);
  ASSERT_TRUE(destination.ok());
  const http::Headers headers = MakeHeaders({{"Cookie", "version=alpha; user=1; user=2"}});
  const Explanation explanation = (*destination)->Explain({"GET", "/?staff", headers});
  ASSERT_EQ(explanation.rules.size(), 3u);
  EXPECT_EQ(explanation.rule->index, 2u);
  EXPECT_FALSE(explanation.match.has_value());
  EXPECT_FALSE(explanation.rules[0].applies);
  EXPECT_FALSE(explanation.rules[1].applies);
  EXPECT_TRUE(explanation.rules[2].applies);
  const std::vector<MatchVerdict>& first = explanation.rules[0].matches;
  ASSERT_EQ(first.size(), 5u);
  EXPECT_EQ(first[0].group, "shop/g");
  EXPECT_EQ(first[0].name, "write");
  EXPECT_EQ(first[0].reason, "method \"GET\" is not POST or PUT");
  EXPECT_EQ(first[1].reason, "path \"/\" is not matched from its start by \"/staff\"");
  EXPECT_EQ(first[2].reason,
            "header \"cookie\" is \"version=alpha; user=1; user=2\", which \"version=beta\" does "
            "not match");
  EXPECT_EQ(first[3].reason, "there is no header \"x-country\"");
  EXPECT_EQ(first[4].reason, "cookie \"user\" is \"1\" and \"2\", which \"^7$\" does not match");
}

TEST(ExplanationTest, NamesTheMatchThatDecided) {
  const auto destination = CompileText(kText);
  ASSERT_TRUE(destination.ok());
  const http::Headers headers = MakeHeaders({{"cookie", "version=beta"}});
  const RequestView request{"GET", "/", headers};
  const Explanation explanation = (*destination)->Explain(request);
  EXPECT_EQ(explanation.rule, (*destination)->Match(request));
  EXPECT_EQ(explanation.match, 2u);
  ASSERT_EQ(explanation.rules.size(), 1u);
  ASSERT_EQ(explanation.rules[0].matches.size(), 3u);
  EXPECT_TRUE(explanation.rules[0].matches[2].applies);
  EXPECT_EQ(explanation.rules[0].matches[2].reason, "");
}

TEST(ExplanationTest, EscapesAndShortensWhatTheClientSent) {
  const auto destination =
      CompileText(R"(rules { matches { headers { name: "x" regex: "^$" } } } rules {})");
  ASSERT_TRUE(destination.ok());
  const http::Headers headers = MakeHeaders({{"x", "\x1b" + std::string(1000, 'y')}});
  const Explanation explanation = (*destination)->Explain({"GET", "/", headers});
  EXPECT_EQ(
      explanation.rules[0].matches[0].reason,
      "header \"x\" is \"\\x1b" + std::string(199, 'y') + "...\", which \"^$\" does not match");
}

}  // namespace
}  // namespace weft::route
