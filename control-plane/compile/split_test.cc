// The semantics of TrafficSplit and HTTPRouteGroup, case by case.
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
using ::testing::IsEmpty;
using ::testing::Not;

// A split of tea.1 with the given spec after `service`.
std::string Split(std::string_view spec, std::string_view version = "v1alpha4") {
  return absl::StrCat("apiVersion: split.smi-spec.io/", ToAbsl(version),
                      "\nkind: TrafficSplit\nmetadata: {name: canary, namespace: shop}\n"
                      "spec: {service: tea.1, ",
                      ToAbsl(spec), "}\n");
}

// A route group "beta" with the given matches.
std::string Group(std::string_view matches, std::string_view version = "v1alpha4") {
  return absl::StrCat("apiVersion: specs.smi-spec.io/", ToAbsl(version),
                      "\nkind: HTTPRouteGroup\nmetadata: {name: beta, namespace: shop}\n"
                      "spec: {matches: [",
                      ToAbsl(matches), "]}\n");
}

constexpr char kToTea2[] = "backends: [{service: tea.2, weight: 1}]";

TEST(Split, WithoutOneEverythingGoesToTheServiceItself) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1");
  EXPECT_EQ(mesh.Destination("10.0.0.1:80")->split(), "");
}

TEST(Split, TheCookieCanarySplitsRequestsWithTheCookieAndNoOthers) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[cookie~version=beta] tea.1=0 tea.2=100; [*] tea.1=1");
  weft::v1::Destination destination = *mesh.Destination("10.0.0.1:80");
  EXPECT_EQ(destination.service(), "shop/tea.1");
  EXPECT_EQ(destination.service_port(), 80u);
  EXPECT_EQ(destination.split(), "shop/canary");
  EXPECT_EQ(destination.protocol(), weft::v1::PROTOCOL_HTTP);
  EXPECT_EQ(destination.rules(0).matches(0).group(), "shop/beta");
  EXPECT_EQ(destination.rules(0).matches(0).name(), "beta-users");
  EXPECT_EQ(destination.rules(0).backends(1).endpoints(), "shop/tea.2:80");
}

TEST(Split, ABackendNeverSplitsAgain) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Split(kToTea2));
  mesh.Apply(R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: back, namespace: shop}
spec: {service: tea.2, backends: [{service: tea.1, weight: 1}]}
)");
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.2=1");
  EXPECT_EQ(mesh.Destination("10.0.0.1:80")->rules(0).backends(0).endpoints(), "shop/tea.2:80");
  EXPECT_EQ(mesh.Rules("10.0.0.2:80"), "[*] tea.1=1");
}

TEST(Split, WeightsAreRatios) {
  struct Case {
    std::string_view version, one, two, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"v1alpha4", "90", "10", "[*] tea.1=90 tea.2=10"},
           {"v1alpha3", "1", "2", "[*] tea.1=1 tea.2=2"},
           {"v1alpha2", "0", "100", "[*] tea.1=0 tea.2=100"},
           {"v1alpha1", "500m", "500m", "[*] tea.1=500 tea.2=500"},
           {"v1alpha1", "\"1\"", "500m", "[*] tea.1=1000 tea.2=500"},
           {"v1alpha1", "0.5", "\"0.25\"", "[*] tea.1=500 tea.2=250"},
           {"v1alpha1", "1", "1k", "[*] tea.1=1 tea.2=1000"},
           {"v1alpha4", "0", "0", "[*] tea.1=0 tea.2=0"},
           // What a malformed weight means cannot be known: nothing is split.
           {"v1alpha4", "-1", "1", "[*] tea.1=1"},
           {"v1alpha4", "ninety", "10", "[*] tea.1=1"},
           {"v1alpha4", "~", "10", "[*] tea.1=1"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(Split(absl::StrCat("backends: [{service: tea.1, weight: ", ToAbsl(c.one),
                                  "}, {service: tea.2, weight: ", ToAbsl(c.two), "}]"),
                     c.version));
    EXPECT_EQ(mesh.Rules("10.0.0.1:80"), c.expected) << c.one << " " << c.two;
  }
}

TEST(Split, ServicesMayBeNamedInFullWithinTheNamespace) {
  struct Case {
    std::string_view root, backend, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"tea.1", "tea.2.shop.svc.cluster.local", "[*] tea.2=1"},
           {"tea.1.shop.svc.cluster.local", "tea.2", "[*] tea.2=1"},
           {"tea.1.shop.svc.cluster.local.", "tea.2.shop.svc", "[*] tea.2=1"},
           {"tea.1.other.svc.cluster.local", "tea.2", "[*] tea.1=1"},
           {"tea.1", "tea.2.other.svc.cluster.local", "[*] nobody"},
           {"tea.1", "other/tea.2", "[*] nobody"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(absl::StrCat(
        "{apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, "
        "metadata: {name: canary, namespace: shop}, spec: {service: ",
        ToAbsl(c.root), ", backends: [{service: ", ToAbsl(c.backend), ", weight: 1}]}}"));
    EXPECT_EQ(mesh.Rules("10.0.0.1:80"), c.expected) << c.root << " " << c.backend;
  }
}

TEST(Split, AMissingBackendLeavesItsTrafficToTheOthers) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Split("backends: [{service: tea.3, weight: 90}, {service: tea.2, weight: 10}]"));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.3!=0 tea.2=10");
  mesh.Remove(store::Kind::kService, "shop", "tea.2");
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] nobody");
}

TEST(Split, PortsCorrespondByNumberElseByName) {
  struct Case {
    std::string_view ports, expected, endpoints;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"{name: http, port: 80}", "[*] tea.3=1", "shop/tea.3:80"},
           {"{name: other, port: 80}", "[*] tea.3=1", "shop/tea.3:80"},
           {"{name: http, port: 8080}", "[*] tea.3=1", "shop/tea.3:8080"},
           {"{name: http, port: 8080}, {name: b, port: 80}", "[*] tea.3=1", "shop/tea.3:80"},
           {"{name: http, port: 80, protocol: UDP}", "[*] nobody", ""},
           {"{name: admin, port: 81}", "[*] nobody", ""},
           {"", "[*] nobody", ""}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(
        absl::StrCat("{apiVersion: v1, kind: Service, metadata: {name: tea.3, namespace: "
                     "shop}, spec: {clusterIP: 10.0.0.3, ports: [",
                     ToAbsl(c.ports), "]}}"));
    mesh.Apply(Split("backends: [{service: tea.3, weight: 1}]"));
    EXPECT_EQ(mesh.Rules("10.0.0.1:80"), c.expected) << c.ports;
    if (!c.endpoints.empty()) {
      EXPECT_EQ(mesh.Destination("10.0.0.1:80")->rules(0).backends(0).endpoints(), c.endpoints);
    }
  }
}

TEST(Split, UnnamedPortsDoNotCorrespondByTheirEmptyName) {
  MeshForTest mesh;
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {clusterIP: 10.0.0.8, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {clusterIP: 10.0.0.9, ports: [{port: 8080}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: ab, namespace: shop}
spec: {service: a, backends: [{service: b, weight: 1}]}
)");
  EXPECT_EQ(mesh.Rules("10.0.0.8:80"), "[*] nobody");
}

TEST(Split, MatchesTranslateAndAreOredAndOthersGoToTheRoot) {
  struct Case {
    std::string_view matches, expected;  // expected: the conditions
  };
  for (const Case& c : std::initializer_list<Case>{
           {"{name: a, pathRegex: /api/.*}", "path~/api/.*"},
           {"{name: a, methods: [get, POST]}", "GET|POST"},
           {"{name: a, methods: [GET, \"*\"], pathRegex: /x}", "path~/x"},
           {"{name: a, methods: [\"*\"]}", "any"},
           {"{name: a, headers: {X-User: a, Accept: b}}", "accept~b & x-user~a"},
           {"{name: a, headers: [{X-User: a}, {Accept: b}]}", "x-user~a & accept~b"},
           {"{name: a, cookies: {Version: ^beta$}}", "cookie:Version~^beta$"},
           {"{name: a, cookies: [{a: b}]}", "cookie:a~b"},
           {"{name: a, methods: [GET], pathRegex: /p, headers: {h: v}, cookies: {c: d}}",
            "GET & path~/p & h~v & cookie:c~d"},
           {"{name: a, pathRegex: /a}, {name: b, pathRegex: /b}", "path~/a | path~/b"},
           {"{pathRegex: /a}, {pathRegex: /b}", "path~/a | path~/b"},
           // A match with a mistake matches nothing; the others go on.
           {"{name: a, pathRegex: \"(\"}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, pathRegex: /a}, {name: a, pathRegex: /b}", "path~/a"},
           {"{name: a}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, header: {x: y}}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, headers: {x: 1}}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, headers: x}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, headers: [x]}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, headers: {\"a b\": x}}, {name: b, pathRegex: /b}", "path~/b"},
           {"{name: a, methods: [\"GE T\"]}, {name: b, pathRegex: /b}", "path~/b"}}) {
    for (std::string_view version : {"v1alpha3", "v1alpha4"}) {
      MeshForTest mesh;
      mesh.Apply(kTea);
      mesh.Apply(Split(absl::StrCat(kToTea2, ", matches: [{kind: HTTPRouteGroup, name: beta}]")));
      mesh.Apply(Group(c.matches, version));
      EXPECT_EQ(mesh.Rules("10.0.0.1:80"),
                absl::StrCat("[", ToAbsl(c.expected), "] tea.2=1; [*] tea.1=1"))
          << c.matches;
    }
  }
}

TEST(Split, WithoutAUsableMatchNothingIsSplit) {
  for (std::string_view matches :
       {"{kind: HTTPRouteGroup, name: missing}", "{name: missing}", "{kind: TCPRoute, name: none}",
        "{kind: Gateway, name: beta}", "{kind: HTTPRouteGroup, name: beta}"}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(Group("{name: a, pathRegex: \"(\"}"));
    mesh.Apply(Split(absl::StrCat(kToTea2, ", matches: [", ToAbsl(matches), "]")));
    EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1") << matches;
    EXPECT_THAT(mesh.Findings(),
                Contains("NoUsableMatch at TrafficSplit shop/canary spec.matches"));
  }
}

TEST(Split, GroupsAreOredAndTheKindMayBeLeftOut) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Group("{name: a, pathRegex: /a}"));
  mesh.Apply(R"(
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: gamma, namespace: shop}
spec: {matches: [{name: a, pathRegex: /g}]}
)");
  mesh.Apply(
      Split(absl::StrCat(kToTea2, ", matches: [{name: beta}, {name: beta}, {name: gamma}]")));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[path~/a | path~/g] tea.2=1; [*] tea.1=1");
}

TEST(Split, AGroupOfAnotherNamespaceDoesNotCount) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: beta, namespace: other}
spec: {matches: [{name: a, pathRegex: /a}]}
)");
  mesh.Apply(Split(absl::StrCat(kToTea2, ", matches: [{name: beta}]")));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1");
}

TEST(Split, ATcpRouteMatchesEveryConnectionToItsPorts) {
  struct Case {
    std::string_view spec, expected;
  };
  for (const Case& c : std::initializer_list<Case>{{"{}", "[*] tea.2=1"},
                                                   {"{matches: {ports: [80]}}", "[*] tea.2=1"},
                                                   {"{matches: {ports: [81]}}", "[*] tea.1=1"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(
        absl::StrCat("{apiVersion: specs.smi-spec.io/v1alpha4, kind: TCPRoute, metadata: "
                     "{name: tcp, namespace: shop}, spec: ",
                     ToAbsl(c.spec), "}"));
    mesh.Apply(Split(absl::StrCat(kToTea2, ", matches: [{kind: TCPRoute, name: tcp}]")));
    EXPECT_EQ(mesh.Rules("10.0.0.1:80"), c.expected) << c.spec;
  }
}

TEST(Split, HttpMatchesDoNotApplyToOpaqueBytes) {
  MeshForTest mesh;
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: tea.1, namespace: shop}
spec: {clusterIP: 10.0.0.1, ports: [{name: tcp, port: 80}]}
)");
  mesh.Apply(kCookieCanary);
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1");
  EXPECT_THAT(mesh.Findings(),
              Contains("MatchesNeedHttp at TrafficSplit shop/canary spec.matches"));
}

// A split of tea.1 with a creation time.
std::string Dated(std::string_view name, std::string_view created, std::string_view backend) {
  return absl::StrCat(
      "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\n",
      "metadata: {name: ", ToAbsl(name), ", namespace: shop, creationTimestamp: ", ToAbsl(created),
      "}\nspec: {service: tea.1, backends: [{service: ", ToAbsl(backend), ", weight: 1}]}\n---\n");
}

TEST(Split, OfTwoOnOneRootTheOldestWinsElseTheFirstByName) {
  struct Case {
    std::string_view a, b, winner;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "a"},
                                   {"2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "b"},
                                   {"2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "a"},
                                   {"null", "null", "a"},
                                   {"null", "2026-01-01T00:00:00Z", "b"}}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(absl::StrCat(Dated("a", c.a, "tea.1"), Dated("b", c.b, "tea.2")));
    EXPECT_EQ(mesh.Destination("10.0.0.1:80")->split(), absl::StrCat("shop/", ToAbsl(c.winner)));
    const std::string loser = c.winner == "a" ? "b" : "a";
    EXPECT_THAT(mesh.Findings(),
                Contains(absl::StrCat("Conflict at TrafficSplit shop/", loser, " spec.service")));
    mesh.Remove(store::Kind::kTrafficSplit, "shop", std::string(c.winner));
    EXPECT_EQ(mesh.Destination("10.0.0.1:80")->split(), absl::StrCat("shop/", loser));
    EXPECT_THAT(mesh.Findings(), IsEmpty());
  }
}

TEST(Split, OneThatCannotHaveAnEffectDoesNotHoldUpAnother) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: a, namespace: shop}
spec: {service: tea.1, backends: []}
)");
  mesh.Apply(Split(kToTea2));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.2=1");
  EXPECT_THAT(mesh.Findings(), Not(Contains("Conflict at TrafficSplit shop/canary spec.service")));
}

TEST(Split, DoesNotApplyToAPodDialledDirectly) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(Split(kToTea2));
  EXPECT_EQ(mesh.Rules("10.1.0.1:8080"), "[*] tea-1.pod:8080=1");
}

}  // namespace
}  // namespace weft::compile
