#include "sidecar/http/h1/parser.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h1/testing.h"

namespace weft::http::h1 {
namespace {

TEST(ParserTest, ReadsARequestWhateverItsPieces) {
  const std::string text =
      "POST /tea?x=1 HTTP/1.1\r\nHost: tea.1\r\nX-Case: Kept\r\nCookie: a=1\r\ncookie: b=2\r\n"
      "Connection: keep-alive, X-Hop\r\nX-Hop: gone\r\nKeep-Alive: timeout=5\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: "
      "t\r\n\r\n";
  for (const size_t step : {1ul, 2ul, 7ul, 1000ul}) {
    Parser parser(Parser::Kind::kRequest, {});
    const Fed parsed = Feed(parser, text, step);
    ASSERT_TRUE(parser.message_complete()) << step << parser.error().field;
    EXPECT_EQ(parsed.body, "hello world");
    EXPECT_EQ(parsed.used, text.size());
    const RequestHead& request = parser.request();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/tea?x=1");
    EXPECT_EQ(request.authority, "tea.1");
    EXPECT_TRUE(request.has_body);
    EXPECT_FALSE(request.content_length.has_value());
    ASSERT_EQ(request.headers.size(), 3u);
    EXPECT_EQ(request.headers.at(0).name, "X-Case");
    EXPECT_EQ(request.headers.Get("cookie"), "a=1");
    EXPECT_EQ(parser.trailers().Get("x-trailer"), "t");
    EXPECT_EQ(parser.announced_idle_seconds(), 5);
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST(ParserTest, KnowsWhereTheFirstOfTwoRequestsEnds) {
  const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const std::string second = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  Parser parser(Parser::Kind::kRequest, {});
  EXPECT_EQ(Feed(parser, first + second).used, first.size());
  EXPECT_EQ(parser.request().path, "/1");
  parser.Start();
  Feed(parser, second);
  EXPECT_EQ(parser.request().path, "/2");
  EXPECT_FALSE(parser.request().has_body);
}

struct Refusal {
  std::string name;
  std::string text;
  int status;
};

class RefusedRequestTest : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedRequestTest, IsRefused) {
  for (const size_t step : {1ul, 1'000'000ul}) {
    Parser parser(Parser::Kind::kRequest, {});
    Feed(parser, GetParam().text, step);
    EXPECT_TRUE(parser.failed());
    EXPECT_EQ(parser.error().status, GetParam().status) << parser.error().field;
    EXPECT_FALSE(parser.error().field.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ambiguous, RefusedRequestTest,
    testing::ValuesIn(std::vector<Refusal>{
        {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
        {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"TargetAndHostDisagree", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400},
        {"TargetIsNone", "GET tea HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"TwoLengths",
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
        {"LengthRepeated",
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
        {"LengthAndChunked",
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n",
         400},
        {"NegativeLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"ChunkedNotLast",
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
        {"ChunkSizeIsNone",
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        {"SpaceBeforeColon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"SpaceInName", "GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", 400},
        {"NoName", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", 400},
        {"BareCarriageReturn", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
        {"ControlCharacter", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400},
        {"ObsoleteFolding", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400},
        {"NulInValue", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35), 400},
        {"Http2Version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"Garbage", "\x16\x03\x01\x02", 400},
    }),
    [](const testing::TestParamInfo<Refusal>& info) { return info.param.name; });

TEST(ParserTest, BoundsHeadsFieldsAndTargets) {
  const Limits limits{.max_head_bytes = 1000, .max_fields = 5, .max_target_bytes = 100};
  const auto status_of = [&](const std::string& text) {
    Parser parser(Parser::Kind::kRequest, limits);
    Feed(parser, text);
    return parser.error().status;
  };
  const std::string host = " HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(status_of("GET /" + std::string(200, 'x') + host + "\r\n"), 414);
  EXPECT_EQ(status_of("GET /" + host + "X: " + std::string(2000, 'x') + "\r\n\r\n"), 431);
  std::string many = "GET /" + host;
  for (int i = 0; i < 6; ++i) many += "X: 1\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);
  EXPECT_EQ(status_of("GET /" + host + "X: " + std::string(900, 'x') + "\r\n\r\n"), 0);
}

TEST(ParserTest, ReadsResponsesByTheRulesOfTheirStatus) {
  struct Case {
    std::string text;
    bool answers_head;
    bool has_body;
    std::string body;
  };
  const std::vector<Case> cases = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true, "ok"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, false, ""},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, false, ""},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, false, ""},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, true, "until the end"},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, false, ""},
      {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", false, false, ""},
  };
  for (const Case& c : cases) {
    Parser parser(Parser::Kind::kResponse, {});
    parser.Start(c.answers_head);
    const Fed parsed = Feed(parser, c.text);
    if (!parser.message_complete()) parser.ParseEnd();
    EXPECT_TRUE(parser.message_complete()) << c.text;
    EXPECT_EQ(parser.response().has_body, c.has_body) << c.text;
    EXPECT_EQ(parsed.body, c.body) << c.text;
  }
}

TEST(ParserTest, TellsABodyThatWasCutOff) {
  Parser parser(Parser::Kind::kResponse, {});
  Feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  parser.ParseEnd();
  EXPECT_TRUE(parser.failed());
  EXPECT_FALSE(parser.message_complete());
}

}  // namespace
}  // namespace weft::http::h1
