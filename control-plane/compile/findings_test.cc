// Every mistake is found, named by object and field, and gone when it is corrected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Split(std::string_view spec) {
  return absl::StrCat(
      "{apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, metadata: {name: "
      "canary, namespace: shop}, spec: {",
      ToAbsl(spec), "}}");
}

std::string Group(std::string_view matches) {
  return absl::StrCat(
      "{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: "
      "{name: beta, namespace: shop}, spec: {matches: [",
      ToAbsl(matches), "]}}");
}

std::string Service(std::string_view metadata, std::string_view spec) {
  return absl::StrCat("{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop",
                      ToAbsl(metadata), "}, spec: {", ToAbsl(spec), "}}");
}

std::string Pod(std::string_view annotations) {
  return absl::StrCat(
      "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, "
      "annotations: {",
      ToAbsl(annotations), "}}, status: {podIP: 10.1.0.9}}");
}

struct Case {
  std::string manifest;
  std::string_view finding;
};

TEST(Findings, OfARightMeshAreNone) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Group("{name: a, cookies: {version: ^beta$}}"));
  mesh.Apply(
      Split("service: tea.1, backends: [{service: tea.1, weight: 0}, {service: tea.2, "
            "weight: 100}], matches: [{kind: HTTPRouteGroup, name: beta}]"));
  EXPECT_THAT(mesh.Findings(), IsEmpty());
}

TEST(Findings, OfSplits) {
  constexpr char kGood[] = "service: tea.1, backends: [{service: tea.2, weight: 1}]";
  for (const Case& c : std::initializer_list<Case>{
           {Split("backends: [{service: tea.2, weight: 1}]"),
            "RootServiceInvalid at TrafficSplit shop/canary spec.service"},
           {Split(
                "service: tea.1.other.svc.cluster.local, backends: [{service: tea.2, weight: 1}]"),
            "RootServiceInvalid at TrafficSplit shop/canary spec.service"},
           {Split("service: none, backends: [{service: tea.2, weight: 1}]"),
            "RootServiceNotFound at TrafficSplit shop/canary spec.service"},
           {Split("service: tea.1"), "BackendsMissing at TrafficSplit shop/canary spec.backends"},
           {Split(
                "service: tea.1, backends: [{service: tea.2, weight: 1}, {service: tea.1, weight: "
                "ninety}]"),
            "WeightInvalid at TrafficSplit shop/canary spec.backends[1].weight"},
           {Split("service: tea.1, backends: [{service: tea.2}]"),
            "WeightInvalid at TrafficSplit shop/canary spec.backends[0].weight"},
           {Split("service: tea.1, backends: [{service: tea.2, weight: 0}]"),
            "WeightsAllZero at TrafficSplit shop/canary spec.backends"},
           {Split(
                "service: tea.1, backends: [{service: tea.2, weight: 1}, {service: tea.3, weight: "
                "1}]"),
            "BackendNotFound at TrafficSplit shop/canary spec.backends[1].service"},
           {Split("service: tea.1, backends: [{service: other/x, weight: 1}]"),
            "BackendInvalid at TrafficSplit shop/canary spec.backends[0].service"},
           {Split(
                "service: tea.1, backends: [{service: tea.2, weight: 1}, {service: tea.2, weight: "
                "1}]"),
            "BackendDuplicate at TrafficSplit shop/canary spec.backends[1].service"},
           {absl::StrCat(Service("", "clusterIP: 10.0.0.7, ports: [{port: 81}]"), "\n---\n",
                         Split("service: tea.1, backends: [{service: web, weight: 1}]")),
            "BackendPortNotFound at TrafficSplit shop/canary spec.backends[0].service"},
           {absl::StrCat(Service("", "clusterIP: None, ports: [{port: 80}]"), "\n---\n",
                         Split("service: web, backends: [{service: tea.2, weight: 1}]")),
            "RootServiceHeadless at TrafficSplit shop/canary spec.service"},
           {Split(absl::StrCat(kGood, ", matches: [{kind: HTTPRouteGroup, name: none}]")),
            "MatchNotFound at TrafficSplit shop/canary spec.matches[0].name"},
           {Split(absl::StrCat(kGood, ", matches: [{kind: TCPRoute, name: none}]")),
            "MatchNotFound at TrafficSplit shop/canary spec.matches[0].name"},
           {Split(absl::StrCat(kGood, ", matches: [{kind: Ingress, name: none}]")),
            "MatchKindUnknown at TrafficSplit shop/canary spec.matches[0].kind"},
           {Split(absl::StrCat(kGood, ", matches: [{kind: HTTPRouteGroup, name: none}]")),
            "NoUsableMatch at TrafficSplit shop/canary spec.matches"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(c.manifest);
    EXPECT_THAT(mesh.Findings(), Contains(std::string(c.finding))) << c.manifest;
    mesh.Remove(store::Kind::kTrafficSplit, "shop", "canary");
    EXPECT_THAT(mesh.Findings(), IsEmpty()) << c.manifest;
  }
}

TEST(Findings, OfARootThatSelectsTheCanarysPodsToo) {
  // The umbrella service of classic SMI is right as long as it is not a backend and nothing is left
  // to it.
  struct UmbrellaCase {
    std::string_view backends;
    bool trap;
  };
  for (const UmbrellaCase& c : std::initializer_list<UmbrellaCase>{
           {"{service: tea.1, weight: 1}, {service: tea.2, weight: 1}", false},
           {"{service: web, weight: 90}, {service: tea.2, weight: 10}", true},
           {"{service: web, weight: 0}, {service: tea.2, weight: 10}", false}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(Service("",
                       "clusterIP: 10.0.0.9, selector: {app: tea}, ports: [{name: http, port: 80, "
                       "targetPort: 8080}]"));
    mesh.Apply(Split(absl::StrCat("service: web, backends: [", ToAbsl(c.backends), "]")));
    if (c.trap) {
      EXPECT_THAT(mesh.Findings(),
                  ElementsAre("RootSelectsBackendPods at TrafficSplit shop/canary spec.service"));
    } else {
      EXPECT_THAT(mesh.Findings(), IsEmpty()) << c.backends;
    }
  }
}

TEST(Findings, OfRouteGroups) {
  for (const Case& c : std::initializer_list<Case>{
           {Group("{name: a, pathRegex: \"(\"}"),
            "RegexInvalid at HTTPRouteGroup shop/beta spec.matches[0].pathRegex"},
           {Group("{name: a, headers: {x: \"(\"}}"),
            "RegexInvalid at HTTPRouteGroup shop/beta spec.matches[0].headers[x]"},
           {Group("{name: a, headers: [{y: b}, {x: \"(\"}]}"),
            "RegexInvalid at HTTPRouteGroup shop/beta spec.matches[0].headers[1][x]"},
           {Group("{name: a, cookies: {x: \"(\"}}"),
            "RegexInvalid at HTTPRouteGroup shop/beta spec.matches[0].cookies[x]"},
           {Group("{name: a, pathRegex: /a}, {name: a, pathRegex: /b}"),
            "MatchNameDuplicate at HTTPRouteGroup shop/beta spec.matches[1].name"},
           {Group("{name: a}"), "MatchEmpty at HTTPRouteGroup shop/beta spec.matches[0]"},
           {Group("{name: a, headers: 7}"),
            "ValueMalformed at HTTPRouteGroup shop/beta spec.matches[0].headers"},
           {Group("{name: a, headers: {x: 7}}"),
            "ValueMalformed at HTTPRouteGroup shop/beta spec.matches[0].headers[x]"},
           {Group("{name: a, headers: {\"a b\": c}}"),
            "NameInvalid at HTTPRouteGroup shop/beta spec.matches[0].headers[a b]"},
           {Group("{name: a, methods: [\"GE T\"]}"),
            "MethodInvalid at HTTPRouteGroup shop/beta spec.matches[0].methods[0]"},
           {Group("{name: a, headers: {Cookie: version=beta}}"),
            "CookieMatchTooWide at HTTPRouteGroup shop/beta spec.matches[0].headers[cookie]"},
           {"{apiVersion: specs.smi-spec.io/v1alpha4, kind: TCPRoute, metadata: {name: t, "
            "namespace: "
            "shop}, spec: {matches: {ports: [80, 0]}}}",
            "PortInvalid at TCPRoute shop/t spec.matches.ports[1]"}}) {
    MeshForTest mesh;
    mesh.Apply(c.manifest);
    EXPECT_THAT(mesh.Findings(), ElementsAre(std::string(c.finding))) << c.manifest;
  }
}

TEST(Findings, OfMoreThanSidecarsAccept) {
  std::string matches, backends, headers;
  for (int i = 0; i < 600; ++i) absl::StrAppend(&matches, "{name: m", i, ", pathRegex: /", i, "},");
  for (int i = 0; i < 300; ++i) absl::StrAppend(&backends, "{service: s", i, ", weight: 1},");
  for (int i = 0; i < 100; ++i) absl::StrAppend(&headers, "h", i, ": v,");
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Group(matches));
  mesh.Apply(
      Split("service: tea.1, backends: [{service: tea.2, weight: 1}], matches: [{name: beta}]"));
  EXPECT_THAT(mesh.Findings(),
              ElementsAre("MatchesTooMany at TrafficSplit shop/canary spec.matches[0].name"));
  EXPECT_EQ(mesh.Destination("10.0.0.1:80")->rules(0).matches_size(), 512);
  mesh.Apply(Group(absl::StrCat("{name: a, headers: {", headers, "}}, {name: b, pathRegex: /b}")));
  EXPECT_THAT(mesh.Findings(),
              ElementsAre("ConditionsTooMany at HTTPRouteGroup shop/beta spec.matches[0].headers"));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[path~/b] tea.2=1; [*] tea.1=1");
  mesh.Apply(Split(absl::StrCat("service: tea.1, backends: [", backends, "]")));
  EXPECT_THAT(mesh.Findings(),
              Contains("BackendsTooMany at TrafficSplit shop/canary spec.backends"));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1");
}

TEST(Findings, OfServicesPodsAndMeshConfigs) {
  for (
      const Case& c : std::initializer_list<Case>{
          {Service(", annotations: {config.weft.io/lb-method: fastest}",
                   "clusterIP: 10.0.0.9, ports: [{port: 80}]"),
           "LbMethodUnknown at Service shop/web metadata.annotations[config.weft.io/lb-method]"},
          {Service(", annotations: {config.weft.io/lb-method: random, "
                   "config.nsm.nginx.com/lb-method: least_conn}",
                   "clusterIP: 10.0.0.9, ports: [{port: 80}]"),
           "AnnotationConflict at Service shop/web "
           "metadata.annotations[config.nsm.nginx.com/lb-method]"},
          {Service("", "clusterIP: 10.0.0.9, ports: [{port: 80}, {port: 0}]"),
           "PortInvalid at Service shop/web spec.ports[1].port"},
          {Service("", "clusterIP: 10.0.0.9, ports: [{port: 80, appProtocol: smtp}]"),
           "AppProtocolUnknown at Service shop/web spec.ports[0].appProtocol"},
          {Service("", "ports: [{port: 80}]"),
           "ClusterIpMissing at Service shop/web spec.clusterIP"},
          {Service("", "clusterIP: ten, ports: [{port: 80}]"),
           "ClusterIpMissing at Service shop/web spec.clusterIP"},
          {Service("", "clusterIP: 10.0.0.1, ports: [{port: 80}]"),
           "ClusterIpConflict at Service shop/web spec.clusterIP"},
          {Pod("config.weft.io/mtls-mode: off"),
           "MtlsModeNotLoosened at Pod shop/web metadata.annotations[config.weft.io/mtls-mode]"},
          {Pod("config.nsm.nginx.com/mtls-mode: maybe"),
           "MtlsModeUnknown at Pod shop/web metadata.annotations[config.nsm.nginx.com/mtls-mode]"},
          {Pod("config.weft.io/opaque-ports: mysql"),
           "PortsInvalid at Pod shop/web metadata.annotations[config.weft.io/opaque-ports]"},
          {Pod("config.weft.io/opaque-ports: 1-65535"),
           "PortsInvalid at Pod shop/web metadata.annotations[config.weft.io/opaque-ports]"},
          {Pod("config.weft.io/ignore-incoming-ports: ssh"),
           "PortsInvalid at Pod shop/web "
           "metadata.annotations[config.weft.io/ignore-incoming-ports]"},
          {Pod("config.weft.io/ignore-outgoing-ports: \"0\""),
           "PortsInvalid at Pod shop/web "
           "metadata.annotations[config.weft.io/ignore-outgoing-ports]"},
          {Pod("config.weft.io/client-max-body-size: big"),
           "SizeInvalid at Pod shop/web "
           "metadata.annotations[config.weft.io/client-max-body-size]"},
          {"{apiVersion: weft.io/v1, kind: MeshConfig, metadata: {name: mine}}",
           "MeshConfigIgnored at MeshConfig mine metadata.name"},
          {"{apiVersion: weft.io/v1, kind: MeshConfig, metadata: {name: default}, spec: {mtlsMode: "
           "on}}",
           "MtlsModeUnknown at MeshConfig default spec.mtlsMode"},
          {"{apiVersion: weft.io/v1, kind: MeshConfig, metadata: {name: default}, spec: {lbMethod: "
           "x}}",
           "LbMethodUnknown at MeshConfig default spec.lbMethod"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(c.manifest);
    EXPECT_THAT(mesh.Findings(), ElementsAre(std::string(c.finding))) << c.manifest;
  }
}

TEST(Findings, OfKubernetesOwnServicesAreNone) {
  MeshForTest mesh;
  mesh.Apply(Service("", "type: ExternalName, externalName: example.com"));
  EXPECT_THAT(mesh.Findings(), IsEmpty());
  mesh.Apply(Service("", "clusterIP: None, selector: {app: x}"));
  EXPECT_THAT(mesh.Findings(), IsEmpty());
}

TEST(Findings, SayWhatToDo) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  std::vector<weft::v1::Finding> findings = mesh.compiler().Findings();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity(), weft::v1::Finding::WARNING);
  EXPECT_EQ(findings[0].remedy(),
            "match the cookie by its name instead: cookies: {version: \"^beta$\"}");
  EXPECT_THAT(findings[0].message(), ::testing::HasSubstr("\"xversion=beta\""));
}

}  // namespace
}  // namespace weft::compile
