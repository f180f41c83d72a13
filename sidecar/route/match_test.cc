#include "sidecar/route/match.h"

#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "sidecar/route/testing.h"

namespace weft::route {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Case {
  std::string name;
  std::string match;  // weft.v1.HttpMatch in text format
  std::string method;
  std::string path;
  Fields headers;
  bool applies;
};

void ExpectEach(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    weft::v1::HttpMatch message;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(c.match, &message));
    PatternTable patterns(8);
    const absl::StatusOr<Match> match = Match::Compile(message, patterns);
    ASSERT_TRUE(match.ok()) << match.status();
    const http::Headers headers = MakeHeaders(c.headers);
    EXPECT_EQ(match->Applies({c.method, c.path, headers}, PathComponent(c.path)), c.applies);
  }
}

TEST(MatchTest, HoldsIfAllItsConditionsHold) {
  const std::string all = R"(methods: "GET" path_regex: "/cart"
      headers { name: "x-a" regex: "1" } headers { name: "x-b" regex: "2" }
      cookies { name: "c" regex: "3" })";
  ExpectEach({
      {"all hold", all, "GET", "/cart", {{"x-a", "1"}, {"x-b", "2"}, {"cookie", "c=3"}}, true},
      {"method fails", all, "PUT", "/cart", {{"x-a", "1"}, {"x-b", "2"}, {"cookie", "c=3"}}, false},
      {"path fails", all, "GET", "/car", {{"x-a", "1"}, {"x-b", "2"}, {"cookie", "c=3"}}, false},
      {"one header fails",
       all,
       "GET",
       "/cart",
       {{"x-a", "1"}, {"x-b", "0"}, {"cookie", "c=3"}},
       false},
      {"one header is missing", all, "GET", "/cart", {{"x-b", "2"}, {"cookie", "c=3"}}, false},
      {"cookie fails", all, "GET", "/cart", {{"x-a", "1"}, {"x-b", "2"}, {"cookie", "c=4"}}, false},
      {"no conditions at all", "", "PATCH", "/any", {}, true},
  });
}

TEST(MatchTest, MethodsAreExactAndNoneOrAStarMeansAny) {
  ExpectEach({
      {"none", "", "GET", "/", {}, true},
      {"none, unusual method", "", "BREW", "/", {}, true},
      {"star", R"(methods: "*")", "DELETE", "/", {}, true},
      {"star among others", R"(methods: "GET" methods: "*")", "DELETE", "/", {}, true},
      {"one of two", R"(methods: "GET" methods: "POST")", "POST", "/", {}, true},
      {"none of two", R"(methods: "GET" methods: "POST")", "PUT", "/", {}, false},
      {"HEAD is not GET", R"(methods: "GET")", "HEAD", "/", {}, false},
      {"case matters", R"(methods: "GET")", "get", "/", {}, false},
      {"no prefix match", R"(methods: "PATCH")", "PAT", "/", {}, false},
  });
}

TEST(MatchTest, PathRegexMatchesFromTheStartOfThePathWithoutTheQuery) {
  ExpectEach({
      {"prefix", R"(path_regex: "/api")", "GET", "/api/v1", {}, true},
      {"not in the middle", R"(path_regex: "/api")", "GET", "/v1/api", {}, false},
      {"not in the middle, as a regex", R"(path_regex: "/a[p]i")", "GET", "/v1/api", {}, false},
      {"open end", R"(path_regex: "/a[p]i")", "GET", "/api2", {}, true},
      {"dollar closes the end", R"(path_regex: "/api$")", "GET", "/api2", {}, false},
      {"dollar comes before the query", R"(path_regex: "/api$")", "GET", "/api?x=1", {}, true},
      {"query is not matched", R"(path_regex: "/.*debug=1")", "GET", "/a?debug=1", {}, false},
      {"caret is allowed", R"(path_regex: "^/api/.*")", "GET", "/api/x", {}, true},
      {"alternatives are all anchored", R"(path_regex: "/a|/b")", "GET", "/x/b", {}, false},
      {"second alternative", R"(path_regex: "/a|/b")", "GET", "/b", {}, true},
      {"dot star", R"(path_regex: ".*")", "GET", "/", {}, true},
      {"leading dot star", R"(path_regex: ".*/cart")", "GET", "/shop/cart", {}, true},
      {"case matters", R"(path_regex: "/API")", "GET", "/api", {}, false},
      {"absolute form", R"(path_regex: "/api")", "GET", "http://tea.1/api?q", {}, true},
      {"absolute form without a path", R"(path_regex: "/$")", "GET", "http://tea.1?q=/", {}, true},
      {"percent-encoding stays", R"(path_regex: "/a%20b")", "GET", "/a%20b", {}, true},
      {"percent-encoding is not undone", R"(path_regex: "/a b")", "GET", "/a%20b", {}, false},
      {"asterisk form", R"(path_regex: "/")", "OPTIONS", "*", {}, false},
      {"a URL in the query is no absolute form",
       R"(path_regex: "/go")",
       "GET",
       "/go?to=http://x/y",
       {},
       true},
  });
}

TEST(MatchTest, HeadersMatchAnywhereInTheValueUnderANameInAnyCase) {
  const std::string beta = R"(headers { name: "cookie" regex: "version=beta" })";
  ExpectEach({
      {"whole value", beta, "GET", "/", {{"cookie", "version=beta"}}, true},
      {"contained in the value", beta, "GET", "/", {{"cookie", "id=7; version=beta; x=1"}}, true},
      {"the trap: a longer value", beta, "GET", "/", {{"cookie", "version=beta2"}}, true},
      {"the trap: a longer name", beta, "GET", "/", {{"cookie", "xversion=beta"}}, true},
      {"other value", beta, "GET", "/", {{"cookie", "version=alpha"}}, false},
      {"values have case", beta, "GET", "/", {{"cookie", "version=Beta"}}, false},
      {"no cookie", beta, "GET", "/", {{"accept", "version=beta"}}, false},
      {"request name in upper case", beta, "GET", "/", {{"COOKIE", "version=beta"}}, true},
      {"rule name in mixed case",
       R"(headers { name: "X-Canary" regex: "yes" })",
       "GET",
       "/",
       {{"x-canary", "yes"}},
       true},
      {"anchored", R"(headers { name: "x" regex: "^yes$" })", "GET", "/", {{"x", "yes!"}}, false},
      {"present but empty matches dot star",
       R"(headers { name: "x" regex: ".*" })",
       "GET",
       "/",
       {{"x", ""}},
       true},
      {"absent does not match dot star",
       R"(headers { name: "x" regex: ".*" })",
       "GET",
       "/",
       {},
       false},
      {"empty regex wants presence only",
       R"(headers { name: "x" regex: "" })",
       "GET",
       "/",
       {{"x", "y"}},
       true},
      {"the same name twice is two conditions",
       R"(headers { name: "x" regex: "a" } headers { name: "x" regex: "b" })",
       "GET",
       "/",
       {{"x", "ab"}},
       true},
      {"the same name twice, one fails",
       R"(headers { name: "x" regex: "a" } headers { name: "x" regex: "b" })",
       "GET",
       "/",
       {{"x", "a"}},
       false},
      {"any byte",
       R"(headers { name: "x" regex: "^a.b$" })",
       "GET",
       "/",
       {{"x",
         "a\xff"
         "b"}},
       true},
  });
}

TEST(MatchTest, RepeatedHeadersAreMatchedJoined) {
  ExpectEach({
      {"by comma and space",
       R"(headers { name: "x" regex: "^a, b$" })",
       "GET",
       "/",
       {{"x", "a"}, {"y", "c"}, {"X", "b"}},
       true},
      {"an anchor is for the joined value",
       R"(headers { name: "x" regex: "^b" })",
       "GET",
       "/",
       {{"x", "a"}, {"x", "b"}},
       false},
      {"cookie by semicolon and space",
       R"(headers { name: "cookie" regex: "^a=1; b=2$" })",
       "GET",
       "/",
       {{"cookie", "a=1"}, {"cookie", "b=2"}},
       true},
      {"three times",
       R"(headers { name: "x" regex: "^a, b, c$" })",
       "GET",
       "/",
       {{"x", "a"}, {"x", "b"}, {"x", "c"}},
       true},
  });
}

TEST(MatchTest, CookiesMatchTheValueOfOneCookieByItsExactName) {
  const std::string beta = R"(cookies { name: "version" regex: "^beta$" })";
  const auto cookie = [](const std::string& value) { return Fields{{"cookie", value}}; };
  ExpectEach({
      {"alone", beta, "GET", "/", cookie("version=beta"), true},
      {"last", beta, "GET", "/", cookie("a=1; version=beta"), true},
      {"first", beta, "GET", "/", cookie("version=beta; a=1"), true},
      {"no trap: a longer value", beta, "GET", "/", cookie("version=beta2"), false},
      {"no trap: a longer name", beta, "GET", "/", cookie("xversion=beta"), false},
      {"names have case", beta, "GET", "/", cookie("Version=beta"), false},
      {"inside another value", beta, "GET", "/", cookie("a=version=beta"), false},
      {"unanchored matches anywhere", R"(cookies { name: "v" regex: "et" })", "GET", "/",
       cookie("v=beta"), true},
      {"without spaces", beta, "GET", "/", cookie("a=1;version=beta;b=2"), true},
      {"with many spaces", beta, "GET", "/", cookie("a=1 ;  version = beta  "), true},
      {"quotes belong to the value", beta, "GET", "/", cookie("version=\"beta\""), false},
      {"quotes can be matched", R"re(cookies { name: "version" regex: "^\"beta\"$" })re", "GET",
       "/", cookie("version=\"beta\""), true},
      {"value with an equals sign", R"(cookies { name: "t" regex: "^a=b=$" })", "GET", "/",
       cookie("t=a=b="), true},
      {"empty value", R"(cookies { name: "t" regex: "^$" })", "GET", "/", cookie("t="), true},
      {"a pair without equals is no cookie", R"(cookies { name: "t" regex: "" })", "GET", "/",
       cookie("t"), false},
      {"twice, the second matches", beta, "GET", "/", cookie("version=alpha; version=beta"), true},
      {"twice, none matches", beta, "GET", "/", cookie("version=a; version=b"), false},
      {"in the second field",
       beta,
       "GET",
       "/",
       {{"cookie", "a=1"}, {"Cookie", "version=beta"}},
       true},
      {"no cookie field", beta, "GET", "/", {}, false},
      {"empty field", beta, "GET", "/", cookie(""), false},
      {"only separators", beta, "GET", "/", cookie(";;; ;"), false},
      {"both cookies must match",
       R"(cookies { name: "a" regex: "1" } cookies { name: "b" regex: "2" })", "GET", "/",
       cookie("b=2; a=1"), true},
      {"one of both is missing",
       R"(cookies { name: "a" regex: "1" } cookies { name: "b" regex: "2" })", "GET", "/",
       cookie("a=1"), false},
  });
}

TEST(MatchTest, FirstFailureNamesTheCondition) {
  weft::v1::HttpMatch message;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(methods: "GET" headers { name: "a" regex: "1" } headers { name: "b" regex: "2" })",
      &message));
  PatternTable patterns(8);
  const absl::StatusOr<Match> match = Match::Compile(message, patterns);
  ASSERT_TRUE(match.ok());
  const http::Headers headers = MakeHeaders({{"a", "1"}});
  const std::optional<Match::Failure> failure = match->FirstFailure({"GET", "/", headers}, "/");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->condition, Match::Condition::kHeader);
  EXPECT_EQ(failure->index, 1u);
}

TEST(PatternTableTest, CompilesEachPatternOnce) {
  PatternTable patterns(3);
  const auto a = patterns.Get("a.c", Anchor::kNone);
  const auto b = patterns.Get("a.c", Anchor::kNone);
  const auto c = patterns.Get("a.c", Anchor::kStart);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(*a, *b);
  EXPECT_NE(*a, *c);
}

TEST(PatternTableTest, BoundsHowManyRegularExpressionsThereAre) {
  PatternTable patterns(1000);
  absl::Status status;
  int count = 0;
  while (status.ok() && count < 1000) {
    status = patterns.Get("a[b]" + std::to_string(count++), Anchor::kNone).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(count, 513);
}

}  // namespace
}  // namespace weft::route
