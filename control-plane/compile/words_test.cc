// What users write in ports, annotations, weights and expressions, and what it means.
#include <gtest/gtest.h>

#include <optional>
#include <string_view>
#include <vector>

#include "control-plane/compile/address.h"
#include "control-plane/compile/options.h"
#include "control-plane/compile/protocol.h"
#include "control-plane/compile/regex.h"
#include "control-plane/compile/resource.h"
#include "control-plane/compile/weight.h"

namespace weft::compile {
namespace {

namespace v1 = weft::v1;

TEST(Protocol, AppProtocolDecidesThenTheNamesPrefixThenPort80) {
  struct Case {
    std::string_view app_protocol, name;
    int port;
    v1::Protocol expected;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"http", "", 9000, v1::PROTOCOL_HTTP},
                                   {"HTTP", "", 9000, v1::PROTOCOL_HTTP},
                                   {"http2", "", 9000, v1::PROTOCOL_HTTP2},
                                   {"kubernetes.io/h2c", "", 9000, v1::PROTOCOL_HTTP2},
                                   {"kubernetes.io/ws", "", 9000, v1::PROTOCOL_HTTP},
                                   {"kubernetes.io/wss", "", 9000, v1::PROTOCOL_TLS},
                                   {"grpc", "", 9000, v1::PROTOCOL_GRPC},
                                   {"https", "", 9000, v1::PROTOCOL_TLS},
                                   {"tls", "", 9000, v1::PROTOCOL_TLS},
                                   {"tcp", "", 80, v1::PROTOCOL_TCP},
                                   {"redis", "", 6379, v1::PROTOCOL_TCP},
                                   {"tcp", "http", 80, v1::PROTOCOL_TCP},  // before the name
                                   {"example.com/own", "http", 9000, v1::PROTOCOL_HTTP},
                                   {"", "http", 9000, v1::PROTOCOL_HTTP},
                                   {"", "http-admin", 9000, v1::PROTOCOL_HTTP},
                                   {"", "http2-x", 9000, v1::PROTOCOL_HTTP2},
                                   {"", "grpc", 9000, v1::PROTOCOL_GRPC},
                                   {"", "grpc-web", 9000, v1::PROTOCOL_HTTP},
                                   {"", "https", 9000, v1::PROTOCOL_TLS},
                                   {"", "tls-db", 9000, v1::PROTOCOL_TLS},
                                   {"", "tcp-db", 80, v1::PROTOCOL_TCP},  // before the number
                                   {"", "httpd", 9000, v1::PROTOCOL_DETECT},
                                   {"", "admin-http", 9000, v1::PROTOCOL_DETECT},
                                   {"", "", 80, v1::PROTOCOL_HTTP},
                                   {"", "web", 80, v1::PROTOCOL_HTTP},
                                   {"", "", 443, v1::PROTOCOL_DETECT},
                                   {"", "", 8080, v1::PROTOCOL_DETECT}}) {
    k8s::ServicePort port;
    port.set_app_protocol(std::string(c.app_protocol));
    port.set_name(std::string(c.name));
    port.set_port(c.port);
    EXPECT_EQ(ProtocolOf(port), c.expected)
        << "appProtocol " << c.app_protocol << " name " << c.name << " port " << c.port;
  }
}

TEST(Weight, NumbersAndQuantitiesAreThousandths) {
  struct Case {
    std::string_view text;
    std::optional<uint64_t> expected;
  };
  for (const Case& c : std::initializer_list<Case>{{"0", 0},
                                                   {"1", 1000},
                                                   {"500m", 500},
                                                   {"0.5", 500},
                                                   {".5", 500},
                                                   {"90", 90'000},
                                                   {"1k", 1'000'000},
                                                   {"0.0001", 1},
                                                   {"0.1", 100},
                                                   {"", std::nullopt},
                                                   {"m", std::nullopt},
                                                   {"-1", std::nullopt},
                                                   {"ninety", std::nullopt},
                                                   {"1e3", std::nullopt},
                                                   {"0x10", std::nullopt},
                                                   {"1.2.3", std::nullopt},
                                                   {"90%", std::nullopt},
                                                   {"2000000000", std::nullopt},
                                                   {"inf", std::nullopt}}) {
    google::protobuf::Value value;
    value.set_string_value(std::string(c.text));
    EXPECT_EQ(WeightInThousandths(value), c.expected) << c.text;
  }
  google::protobuf::Value value;
  EXPECT_EQ(WeightInThousandths(value), std::nullopt);
  value.set_number_value(90);
  EXPECT_EQ(WeightInThousandths(value), 90'000u);
  value.set_number_value(0.3);
  EXPECT_EQ(WeightInThousandths(value), 300u);
  value.set_number_value(-1);
  EXPECT_EQ(WeightInThousandths(value), std::nullopt);
  value.set_bool_value(true);
  EXPECT_EQ(WeightInThousandths(value), std::nullopt);
}

TEST(LbMethod, AllTenNamesOfNginxServiceMeshAreKnown) {
  const std::pair<std::string_view, v1::LbMethod> cases[] = {
      {"least_time", v1::LB_METHOD_LEAST_TIME},
      {"least_time last_byte", v1::LB_METHOD_LEAST_TIME_LAST_BYTE},
      {"least_time last_byte inflight", v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT},
      {"round_robin", v1::LB_METHOD_ROUND_ROBIN},
      {"least_conn", v1::LB_METHOD_LEAST_CONN},
      {"random", v1::LB_METHOD_RANDOM},
      {"random two", v1::LB_METHOD_RANDOM_TWO},
      {"random two least_conn", v1::LB_METHOD_RANDOM_TWO_LEAST_CONN},
      {"random two least_time", v1::LB_METHOD_RANDOM_TWO_LEAST_TIME},
      {"random two least_time=last_byte", v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE},
  };
  for (const auto& [text, method] : cases) EXPECT_EQ(ParseLbMethod(text), method) << text;
  EXPECT_EQ(ParseLbMethod("  random   two "), v1::LB_METHOD_RANDOM_TWO);
  for (std::string_view text :
       {"", "fastest", "ROUND_ROBIN", "random three", "least_time=last_byte"}) {
    EXPECT_EQ(ParseLbMethod(text), std::nullopt) << text;
  }
}

TEST(Size, IsBytesWithAnOptionalSuffix) {
  const std::pair<std::string_view, std::optional<uint64_t>> cases[] = {
      {"0", 0},
      {"512", 512},
      {"10k", 10'240},
      {"1m", 1 << 20},
      {"1M", 1 << 20},
      {"2g", 2ull << 30},
      {" 8k ", 8192},
      {"", std::nullopt},
      {"k", std::nullopt},
      {"-1", std::nullopt},
      {"1.5m", std::nullopt},
      {"1mb", std::nullopt},
      {"99999999999999999999", std::nullopt},
      {"99999999999g", std::nullopt}};
  for (const auto& [text, bytes] : cases) EXPECT_EQ(ParseSize(text), bytes) << text;
}

TEST(PortSet, IsPortsAndRanges) {
  std::optional<PortSet> ports = PortSet::Parse("3306, 9000-9002,,6379");
  ASSERT_TRUE(ports);
  for (uint32_t port : {3306, 9000, 9001, 9002, 6379}) EXPECT_TRUE(ports->Contains(port)) << port;
  for (uint32_t port : {80, 8999, 9003, 0}) EXPECT_FALSE(ports->Contains(port)) << port;
  EXPECT_EQ(ports->Ports(100), (std::vector<uint32_t>{3306, 9000, 9001, 9002, 6379}));
  EXPECT_EQ(ports->Ports(2), (std::vector<uint32_t>{3306, 9000}));
  EXPECT_FALSE(PortSet::Parse("")->Contains(80));
  for (std::string_view text :
       {"http", "0", "65536", "9002-9000", "80-", "-80", "80 81", "1-2-3"}) {
    EXPECT_FALSE(PortSet::Parse(text)) << text;
  }
}

TEST(Annotation, IsFoundInBothSpellingsAndWeftsOwnWins) {
  k8s::ObjectMeta meta;
  EXPECT_FALSE(FindAnnotation(meta, "lb-method"));
  (*meta.mutable_annotations())["config.nsm.nginx.com/lb-method"] = "random";
  EXPECT_EQ(FindAnnotation(meta, "lb-method")->value, "random");
  EXPECT_EQ(FindAnnotation(meta, "lb-method")->Field(),
            "metadata.annotations[config.nsm.nginx.com/lb-method]");
  (*meta.mutable_annotations())["config.weft.io/lb-method"] = "round_robin";
  EXPECT_EQ(FindAnnotation(meta, "lb-method")->value, "round_robin");
}

TEST(MtlsMode, IsTightenedAndNeverLoosenedByAPod) {
  struct Case {
    v1::MtlsMode mesh;
    const char* pod;
    v1::MtlsMode expected;
    std::string_view reason;
  };
  for (const Case& c : std::initializer_list<Case>{
           {v1::MTLS_MODE_OFF, nullptr, v1::MTLS_MODE_OFF, ""},
           {v1::MTLS_MODE_OFF, "permissive", v1::MTLS_MODE_PERMISSIVE, ""},
           {v1::MTLS_MODE_OFF, "strict", v1::MTLS_MODE_STRICT, ""},
           {v1::MTLS_MODE_PERMISSIVE, "strict", v1::MTLS_MODE_STRICT, ""},
           {v1::MTLS_MODE_PERMISSIVE, "Strict", v1::MTLS_MODE_STRICT, ""},
           {v1::MTLS_MODE_PERMISSIVE, "permissive", v1::MTLS_MODE_PERMISSIVE, ""},
           {v1::MTLS_MODE_PERMISSIVE, "off", v1::MTLS_MODE_PERMISSIVE, "MtlsModeNotLoosened"},
           {v1::MTLS_MODE_STRICT, "permissive", v1::MTLS_MODE_STRICT, "MtlsModeNotLoosened"},
           {v1::MTLS_MODE_STRICT, "off", v1::MTLS_MODE_STRICT, "MtlsModeNotLoosened"},
           {v1::MTLS_MODE_STRICT, "on", v1::MTLS_MODE_STRICT, "MtlsModeUnknown"}}) {
    k8s::ObjectMeta pod;
    if (c.pod != nullptr) (*pod.mutable_annotations())["config.weft.io/mtls-mode"] = c.pod;
    FindingSink sink;
    EXPECT_EQ(TightenedMtlsMode(c.mesh, pod, "Pod shop/tea", sink), c.expected) << c.pod;
    std::vector<v1::Finding> findings = sink.Take();
    EXPECT_EQ(findings.empty() ? "" : findings[0].reason(), c.reason) << c.pod;
  }
}

TEST(Regex, OfAnotherSyntaxOrOfGreatSizeIsRefused) {
  for (std::string_view regex : {"", "version=beta", "^/api/.*$", "(?i)firefox", "a{1000}"}) {
    EXPECT_EQ(RegexError(regex), std::nullopt) << regex;
  }
  for (std::string_view regex :
       {"(", "a(?=b)", "(a)\\1", "[z-a]", "*", "a{1001}", "((a{100}){100}){100}"}) {
    EXPECT_NE(RegexError(regex), std::nullopt) << regex;
  }
  EXPECT_NE(RegexError(std::string(5000, 'a')), std::nullopt);
}

TEST(CookieTrap, IsSeenWhereAnExpressionMatchesOtherCookies) {
  for (std::string_view regex :
       {"version=beta", "^version=beta", "version=beta$", "version=beta.*", ".*version=beta.*"}) {
    ASSERT_TRUE(FindCookieTrap(regex)) << regex;
    EXPECT_EQ(FindCookieTrap(regex)->name, "version");
    EXPECT_EQ(FindCookieTrap(regex)->value, "beta");
  }
  EXPECT_EQ(FindCookieTrap("version=beta")->also_matches, "xversion=beta");
  for (std::string_view regex : {"(^|; )version=beta(;|$)", "(?:^|;\\s*)version=beta(?:;|$)",
                                 "^version=beta$", "flag", "(", ""}) {
    EXPECT_FALSE(FindCookieTrap(regex)) << regex;
  }
}

TEST(SocketAddress, IsReadAndWrittenInOneForm) {
  const std::pair<std::string_view, std::string_view> good[] = {
      {"10.0.0.1:80", "10.0.0.1:80"},
      {"[fd00::1]:80", "[fd00::1]:80"},
      {"[FD00:0:0::1]:65535", "[fd00::1]:65535"}};
  for (const auto& [text, canonical] : good) {
    ASSERT_TRUE(ParseSocketAddress(text)) << text;
    EXPECT_EQ(ParseSocketAddress(text)->ToString(), canonical);
  }
  for (std::string_view text :
       {"", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:http",
        "10.0.0:80", "fd00::1:80", "[10.0.0.1]:80", "[fd00::1]", "tea:80", "10.0.0.1:080000"}) {
    EXPECT_FALSE(ParseSocketAddress(text)) << text;
  }
}

TEST(Resource, TypeUrlsGoBothWays) {
  for (ResourceType type : kResourceTypes) EXPECT_EQ(ParseTypeUrl(TypeUrl(type)), type);
  EXPECT_EQ(TypeUrl(ResourceType::kEndpoints), "type.googleapis.com/weft.v1.Endpoints");
  EXPECT_EQ(TypeName(ResourceType::kMeshSettings), "MeshSettings");
  EXPECT_EQ(ParseTypeUrl("type.googleapis.com/envoy.config.cluster.v3.Cluster"), std::nullopt);
}

TEST(Resource, VersionsAreTheSameInEveryProcess) {
  v1::MeshSettings settings;
  settings.set_trust_domain("cluster.local");
  EXPECT_EQ(MakeResource({ResourceType::kMeshSettings, "default"}, settings).version,
            "ac2a3f3303d0c4c9f5b7ccb8734fc1d7");
  EXPECT_EQ(MakeResource({ResourceType::kMeshSettings, "default"}, v1::MeshSettings()).version,
            "6c62272e07bb014262b821756295c58d");  // FNV-1a's offset basis
}

}  // namespace
}  // namespace weft::compile
