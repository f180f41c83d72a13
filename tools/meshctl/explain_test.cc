#include "tools/meshctl/explain.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tools/meshctl/output.h"
#include "yaml-cpp/yaml.h"

namespace weft::meshctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A split of tea.1 by cookie, 75:25, as the control plane resolves it.
v1::ResolveRouteResponse Canary() {
  v1::ResolveRouteResponse resolved;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        destination_name: "10.0.0.1:80"
        destination {
          protocol: PROTOCOL_HTTP
          service: "shop/tea.1"
          service_port: 80
          split: "shop/canary"
          rules {
            matches {
              group: "shop/beta"
              name: "cookie"
              headers { name: "cookie" regex: "version=beta" }
            }
            backends { service: "shop/tea.2" endpoints: "shop/tea.2:80" weight: 75 }
            backends { service: "shop/tea.3" endpoints: "shop/tea.3:80" weight: 25 }
            backends { service: "shop/tea.9" weight: 10 }
          }
          rules { backends { service: "shop/tea.1" endpoints: "shop/tea.1:80" weight: 1 } }
        }
        endpoints {
          key: "shop/tea.1:80"
          value { endpoints { address: "10.1.0.1" port: 8080 namespace: "shop" pod: "tea-1" } }
        }
        endpoints {
          key: "shop/tea.2:80"
          value {
            endpoints {
              address: "fd00::2"
              port: 8080
              meshed: true
              spiffe_id: "spiffe://cluster.local/ns/shop/sa/tea"
              namespace: "shop"
              pod: "tea-2"
            }
          }
        }
        endpoints {
          key: "shop/tea.3:80"
          value { endpoints { address: "10.1.0.3" port: 8080 namespace: "shop" pod: "tea-3" } }
        })pb",
      &resolved));
  return resolved;
}

Question Ask(const char* url, std::vector<std::string> headers = {}) {
  return {.from = "shop/web", .url = *RequestUrl::Parse(url), .headers = std::move(headers)};
}

TEST(ExplainTest, TheRuleThatMatchesDecidesAndSharesAreOfTheBackendsThatCanServe) {
  const RouteExplanation e = *Explain(Ask("tea.1/x", {"Cookie: a=b; version=beta"}), Canary());
  EXPECT_EQ(e.decided_by(), 1U);
  EXPECT_THAT(e.reason(), HasSubstr("match \"cookie\" of HTTPRouteGroup shop/beta applies"));
  ASSERT_EQ(e.backends_size(), 3);
  EXPECT_DOUBLE_EQ(e.backends(0).share_percent(), 75);
  EXPECT_DOUBLE_EQ(e.backends(1).share_percent(), 25);
  EXPECT_DOUBLE_EQ(e.backends(2).share_percent(), 0);
  EXPECT_EQ(e.failure(), "");
  const std::string text = ExplanationText(e);
  EXPECT_THAT(text, HasSubstr("[fd00::2]:8080"));
  EXPECT_THAT(text, HasSubstr("shop/tea-2"));
  EXPECT_THAT(text, HasSubstr("no such service or port"));
  EXPECT_THAT(text, HasSubstr("plaintext: no sidecar"));
}

TEST(ExplainTest, WithoutTheCookieTheRequestGoesToTheRoot) {
  const RouteExplanation e = *Explain(Ask("tea.1/x", {"cookie: version=alpha"}), Canary());
  EXPECT_EQ(e.decided_by(), 2U);
  ASSERT_EQ(e.rules_size(), 2);
  EXPECT_FALSE(e.rules(0).applies());
  EXPECT_THAT(e.rules(0).matches(0).reason(), HasSubstr("version=alpha"));
  ASSERT_EQ(e.backends_size(), 1);
  EXPECT_EQ(e.backends(0).service(), "shop/tea.1");
  EXPECT_DOUBLE_EQ(e.backends(0).share_percent(), 100);
}

TEST(ExplainTest, ABackendWithoutEndpointsLeavesItsShareToTheOthers) {
  v1::ResolveRouteResponse resolved = Canary();
  (*resolved.mutable_endpoints())["shop/tea.2:80"].clear_endpoints();
  const RouteExplanation e = *Explain(Ask("tea.1", {"cookie: version=beta"}), resolved);
  EXPECT_DOUBLE_EQ(e.backends(0).share_percent(), 0);
  EXPECT_DOUBLE_EQ(e.backends(1).share_percent(), 100);
  EXPECT_THAT(ExplanationText(e), HasSubstr("none ready"));
}

TEST(ExplainTest, ARequestThatNobodyCanTakeFailsWithTheReason) {
  v1::ResolveRouteResponse resolved = Canary();
  resolved.mutable_endpoints()->clear();
  EXPECT_THAT(Explain(Ask("tea.1"), resolved)->failure(), HasSubstr("ready endpoint"));
  for (auto& backend : *resolved.mutable_destination()->mutable_rules(0)->mutable_backends()) {
    backend.set_weight(0);
  }
  const RouteExplanation e = *Explain(Ask("tea.1", {"cookie: version=beta"}), resolved);
  EXPECT_NE(e.failure(), "");
  EXPECT_THAT(ExplanationText(e), HasSubstr("Fails with 503"));
}

TEST(ExplainTest, OpaqueConnectionsAreNotMatchedByRequest) {
  const RouteExplanation https =
      *Explain(Ask("https://tea.1:80/", {"cookie: version=beta"}), Canary());
  EXPECT_EQ(https.decided_by(), 2U);
  EXPECT_THAT(https.reason(), HasSubstr("opaque"));
  v1::ResolveRouteResponse tcp = Canary();
  tcp.mutable_destination()->set_protocol(v1::PROTOCOL_TCP);
  EXPECT_EQ(Explain(Ask("tea.1", {"cookie: version=beta"}), tcp)->decided_by(), 2U);
}

TEST(ExplainTest, OutsideTheMeshItPassesThrough) {
  const RouteExplanation e = *Explain(Ask("example.com"), v1::ResolveRouteResponse());
  EXPECT_TRUE(e.passes_through());
  EXPECT_THAT(ExplanationText(e), HasSubstr("Passes through"));
}

TEST(ExplainTest, HeadersAndMethodsThatAreNoneAreRefused) {
  for (const char* header : {"cookie", ": x", "a b: c", ""}) {
    EXPECT_EQ(Explain(Ask("tea.1", {header}), Canary()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << header;
  }
  Question question = Ask("tea.1");
  question.method = "GET /";
  EXPECT_EQ(Explain(question, Canary()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OutputTest, YamlKeepsStringsStringsAndOrder) {
  v1::Finding finding;
  finding.set_severity(v1::Finding::ERROR);
  finding.set_object("true");
  finding.set_field("12");
  finding.set_message("a: b\nc \"d\"\n");
  finding.set_remedy("plain");
  const std::string yaml = *ToYaml(finding);
  const YAML::Node read = YAML::Load(yaml);
  EXPECT_EQ(read["message"].as<std::string>(), finding.message());
  EXPECT_THAT(yaml, HasSubstr("object: \"true\""));
  EXPECT_THAT(yaml, HasSubstr("field: \"12\""));
  EXPECT_THAT(yaml, HasSubstr("remedy: plain\n"));
  EXPECT_LT(yaml.find("object"), yaml.find("remedy"));
}

TEST(OutputTest, TablesAlignAndEmptyCellsShow) {
  Table table({"NAME", "AGE"});
  EXPECT_TRUE(table.empty());
  table.Add({"a-long-name", ""});
  table.Add({"b", "5s"});
  EXPECT_EQ(table.ToString(), "NAME          AGE\na-long-name   -\nb             5s\n");
}

TEST(OutputTest, AgesHaveTwoUnitsAtMost) {
  EXPECT_EQ(Age(absl::Seconds(7)), "7s");
  EXPECT_EQ(Age(absl::Seconds(310)), "5m10s");
  EXPECT_EQ(Age(absl::Minutes(125)), "2h5m");
  EXPECT_EQ(Age(absl::Hours(76)), "3d4h");
  EXPECT_EQ(Age(-absl::Hours(1)), "0s");
}

}  // namespace
}  // namespace weft::meshctl
