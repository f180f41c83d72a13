#include "sidecar/route/destination.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/route/testing.h"

namespace weft::route {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kCanary = R"(
    protocol: PROTOCOL_HTTP service: "shop/tea.1" service_port: 80 split: "shop/tea"
    lb_method: LB_METHOD_ROUND_ROBIN connect_timeout { seconds: 2 nanos: 500000000 }
    rules {
      matches { group: "shop/beta" name: "cookie" headers { name: "cookie" regex: "version=beta" } }
      matches { group: "shop/beta" name: "staff" path_regex: "/staff/.*" methods: "GET" }
      backends { service: "shop/tea.1" endpoints: "shop/tea.1:80" weight: 0 }
      backends { service: "shop/tea.2" endpoints: "shop/tea.2:80" weight: 100 }
    }
    rules { backends { service: "shop/tea.1" endpoints: "shop/tea.1:80" weight: 1 } })";

TEST(DestinationTest, KeepsWhatTheResourceSays) {
  const auto destination = CompileText(kCanary);
  ASSERT_TRUE(destination.ok()) << destination.status();
  EXPECT_EQ((*destination)->name(), "10.0.0.1:80");
  EXPECT_EQ((*destination)->protocol(), weft::v1::PROTOCOL_HTTP);
  EXPECT_EQ((*destination)->service(), "shop/tea.1");
  EXPECT_EQ((*destination)->service_port(), 80u);
  EXPECT_EQ((*destination)->split(), "shop/tea");
  EXPECT_EQ((*destination)->lb_method(), weft::v1::LB_METHOD_ROUND_ROBIN);
  EXPECT_EQ((*destination)->connect_timeout(), absl::Milliseconds(2500));
  EXPECT_EQ((*destination)->rules().size(), 2u);
  EXPECT_THAT((*destination)->endpoints(), ElementsAre("shop/tea.1:80", "shop/tea.2:80"));
  EXPECT_EQ((*destination)->rules()[0].backends[1].endpoints_index, 1u);
  EXPECT_EQ((*destination)->rules()[1].backends[0].endpoints_index, 0u);
}

TEST(DestinationTest, TheCanaryCookieDecides) {
  const auto destination = CompileText(kCanary);
  ASSERT_TRUE(destination.ok());
  struct Case {
    std::string method;
    std::string path;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string backend;
  };
  const std::vector<Case> cases = {
      {"GET", "/", {{"Cookie", "version=beta"}}, "shop/tea.2"},
      {"GET", "/", {{"Cookie", "version=alpha"}}, "shop/tea.1"},
      {"GET", "/", {}, "shop/tea.1"},
      {"GET", "/staff/", {}, "shop/tea.2"},
      {"POST", "/staff/", {}, "shop/tea.1"},
      {"POST", "/staff/", {{"cookie", "a=1; version=beta"}}, "shop/tea.2"},
  };
  Random random(1);
  for (const Case& c : cases) {
    const http::Headers headers = MakeHeaders(c.headers);
    const Rule* rule = (*destination)->Match({c.method, c.path, headers});
    ASSERT_NE(rule, nullptr);
    for (int i = 0; i < 100; ++i) {
      const Backend* backend = PickBackend(*rule, random());
      ASSERT_NE(backend, nullptr);
      EXPECT_EQ(backend->service, c.backend) << c.method << " " << c.path;
    }
  }
}

TEST(DestinationTest, TheFirstRuleThatAppliesDecides) {
  const auto destination = CompileText(R"(
      rules { matches { path_regex: "/a" } backends { service: "s/one" endpoints: "s/one:1" weight: 1 } }
      rules { matches { path_regex: "/a/b" } backends { service: "s/two" endpoints: "s/two:1" weight: 1 } }
      rules { matches { path_regex: "/c" } backends { service: "s/three" endpoints: "s/three:1" weight: 1 } }
      rules {})");
  ASSERT_TRUE(destination.ok()) << destination.status();
  const http::Headers headers;
  EXPECT_EQ((*destination)->Match({"GET", "/a/b", headers})->index, 0u);
  EXPECT_EQ((*destination)->Match({"GET", "/c?/a", headers})->index, 2u);
  EXPECT_EQ((*destination)->Match({"GET", "/d", headers})->index, 3u);
}

TEST(DestinationTest, OpaqueConnectionsTakeTheRuleWithoutMatches) {
  const auto destination = CompileText(R"(
      protocol: PROTOCOL_TCP
      rules { matches { name: "all" } backends { service: "s/b" endpoints: "s/b:1" weight: 1 } }
      rules { backends { service: "s/a" endpoints: "s/a:1" weight: 1 } })");
  ASSERT_TRUE(destination.ok()) << destination.status();
  EXPECT_EQ((*destination)->MatchTcp()->index, 1u);
}

TEST(DestinationTest, NonsenseIsRefusedWithItsPlace) {
  struct Case {
    std::string text;
    std::string message;
  };
  const std::string last = "rules {}";
  const std::vector<Case> cases = {
      {"", "rules: there are none"},
      {R"(rules { matches { headers { name: "a" regex: "(" } } })" + last,
       "rules[0].matches[0] ( ).headers[0] (a).regex: \"(\" is not an RE2 regular expression: "
       "missing )"},
      {R"(rules { matches {} matches { group: "shop/g" name: "m" path_regex: "/[" } })" + last,
       "rules[0].matches[1] (shop/g m).path_regex: \"/[\" is not an RE2"},
      {R"(rules { matches { cookies { name: "a" } cookies { name: "b" regex: "\\1" } } })" + last,
       "cookies[1] (b).regex: \"\\1\" is not"},
      {R"(rules { matches { headers { name: "" regex: "a" } } })" + last,
       "headers[0].name: \"\" is no name"},
      {R"(rules { matches { headers { name: ":path" regex: "a" } } })" + last,
       "\":path\" is no name"},
      {R"(rules { matches { cookies { name: "a b" regex: "a" } } })" + last, "\"a b\" is no name"},
      {R"(rules { matches { methods: "GET" methods: "get" } })" + last,
       "methods[1]: \"get\" is no method in upper case"},
      {R"(rules { matches { methods: "" } })" + last, "methods[0]: \"\" is no method"},
      {"rules {} rules {}", "rules[0].matches: empty, so it applies to every request"},
      {"rules { matches {} }", "rules[0].matches: the last rule must apply to every request"},
      {R"(rules { backends { endpoints: "a" weight: 18446744073709551615 }
                  backends { endpoints: "b" weight: 1 } })",
       "rules[0].backends[1].weight: the sum of the weights exceeds 2^64-1"},
      {"connect_timeout { seconds: -1 } rules {}", "connect_timeout: -1 s"},
      {"connect_timeout { } rules {}", "connect_timeout: 0 s"},
      {"connect_timeout { nanos: 1000000000 } rules {}", "connect_timeout: 0 s 1000000000 ns"},
      {"service_port: 65536 rules {}", "service_port: 65536 is no port"},
      {"rules { matches { path_regex: \"" + std::string(5000, 'a') + "\" } }" + last,
       "path_regex: longer than 4096 bytes"},
  };
  for (const Case& c : cases) {
    const auto destination = CompileText(c.text);
    EXPECT_EQ(destination.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(destination.status().message()),
                AllOf(HasSubstr("Destination 10.0.0.1:80: "), HasSubstr(c.message)));
  }
}

TEST(DestinationTest, UnknownEnumValuesAreRefused) {
  weft::v1::Destination message;
  message.add_rules();
  message.set_protocol(static_cast<weft::v1::Protocol>(99));
  EXPECT_THAT(std::string(Destination::Compile("x", message).status().message()),
              HasSubstr("protocol: 99 is unknown"));
  message.set_protocol(weft::v1::PROTOCOL_HTTP);
  message.set_lb_method(static_cast<weft::v1::LbMethod>(99));
  EXPECT_THAT(std::string(Destination::Compile("x", message).status().message()),
              HasSubstr("lb_method: 99 is unknown"));
}

TEST(DestinationTest, ThereIsABoundOnEverything) {
  const auto refused = [](const weft::v1::Destination& message) {
    return Destination::Compile("x", message).status().code() == absl::StatusCode::kInvalidArgument;
  };
  weft::v1::Destination rules;
  for (int i = 0; i < 256; ++i) rules.add_rules()->add_matches();
  rules.add_rules();
  EXPECT_TRUE(refused(rules));

  weft::v1::Destination matches;
  weft::v1::Rule* rule = matches.add_rules();
  for (int i = 0; i < 1025; ++i) rule->add_matches();
  matches.add_rules();
  EXPECT_TRUE(refused(matches));

  weft::v1::Destination backends;
  rule = backends.add_rules();
  for (int i = 0; i < 257; ++i) rule->add_backends();
  EXPECT_TRUE(refused(backends));

  weft::v1::Destination headers;
  weft::v1::HttpMatch* match = headers.add_rules()->add_matches();
  for (int i = 0; i < 65; ++i) match->add_headers()->set_name("a");
  headers.add_rules();
  EXPECT_TRUE(refused(headers));
}

}  // namespace
}  // namespace weft::route
