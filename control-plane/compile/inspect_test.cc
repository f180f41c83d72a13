// What operators are told about services, splits and routes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ListServices, SaysWhatEachPortSpeaksAndHowManyServeIt) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  mesh.Apply("{apiVersion: v1, kind: Service, metadata: {name: x, namespace: other}}");
  EXPECT_EQ(mesh.compiler().ListServices("").services_size(), 3);
  weft::v1::ListServicesResponse response = mesh.compiler().ListServices("shop");
  ASSERT_EQ(response.services_size(), 2);
  const weft::v1::ServiceSummary& tea = response.services(0);
  EXPECT_EQ(tea.name(), "tea.1");
  EXPECT_THAT(tea.cluster_ips(), ElementsAre("10.0.0.1"));
  EXPECT_EQ(tea.split(), "shop/canary");
  ASSERT_EQ(tea.ports_size(), 1);
  EXPECT_EQ(tea.ports(0).port(), 80u);
  EXPECT_EQ(tea.ports(0).protocol(), weft::v1::PROTOCOL_HTTP);
  EXPECT_EQ(tea.ports(0).ready_endpoints(), 1u);
  EXPECT_EQ(tea.ports(0).meshed_endpoints(), 1u);
  EXPECT_EQ(response.services(1).split(), "");
}

TEST(ListSplits, SaysSharesMatchesAndWhetherTheSplitIsInForce) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: a, namespace: shop}
spec:
  service: tea.1.shop.svc.cluster.local
  backends: [{service: tea.1, weight: 3}, {service: tea.2, weight: 1}]
  matches: [{kind: HTTPRouteGroup, name: beta}]
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: b, namespace: shop}
spec: {service: tea.1, backends: [{service: tea.2, weight: 1}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: c, namespace: shop}
spec: {service: tea.2, backends: [{service: tea.1, weight: x}]}
)");
  weft::v1::ListSplitsResponse response = mesh.compiler().ListSplits("shop");
  ASSERT_EQ(response.splits_size(), 3);
  const weft::v1::Split& a = response.splits(0);
  EXPECT_TRUE(a.accepted());
  EXPECT_EQ(a.root_service(), "tea.1");
  EXPECT_THAT(a.matches(), ElementsAre("beta"));
  EXPECT_EQ(a.backends(0).share_percent(), 75);
  EXPECT_EQ(a.backends(1).share_percent(), 25);
  EXPECT_EQ(a.backends(1).ready_endpoints(), 1u);
  EXPECT_GT(a.findings_size(), 0);
  EXPECT_FALSE(response.splits(1).accepted());
  EXPECT_EQ(response.splits(1).findings(0).reason(), "Conflict");
  EXPECT_FALSE(response.splits(2).accepted());
  EXPECT_EQ(response.splits(2).findings(0).reason(), "WeightInvalid");
  EXPECT_EQ(mesh.compiler().ListSplits("other").splits_size(), 0);
}

weft::v1::ResolveRouteRequest Request(std::string_view source, std::string_view host,
                                      uint32_t port) {
  weft::v1::ResolveRouteRequest request;
  request.set_source_workload(std::string(source));
  request.set_host(std::string(host));
  request.set_port(port);
  return request;
}

TEST(ResolveRoute, UnderstandsEveryNameOfAService) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  for (std::string_view host :
       {"tea.1", "TEA.1", "tea.1.shop", "tea.1.shop.svc", "tea.1.shop.svc.cluster.local",
        "tea.1.shop.svc.cluster.local.", "10.0.0.1"}) {
    auto response = mesh.compiler().ResolveRoute(Request("shop/client", host, 80));
    ASSERT_TRUE(response.ok()) << host;
    EXPECT_EQ(response->destination_name(), "10.0.0.1:80") << host;
    EXPECT_EQ(response->destination().rules_size(), 2) << host;
    EXPECT_EQ(response->endpoints().size(), 2u) << host;
    EXPECT_EQ(response->endpoints().at("shop/tea.2:80").endpoints(0).address(), "10.1.0.2");
    ASSERT_EQ(response->findings_size(), 1) << host;
    EXPECT_EQ(response->findings(0).reason(), "CookieMatchTooWide");
  }
  // A short name means a service of the caller's own namespace.
  auto response = mesh.compiler().ResolveRoute(Request("other/client", "tea.1", 80));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->destination_name(), "");
}

TEST(ResolveRoute, OutsideOfTheMeshLeadsNowhere) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  for (std::string_view host : {"example.com", "93.184.216.34", "2001:db8::1", "[2001:db8::1]"}) {
    auto response = mesh.compiler().ResolveRoute(Request("shop/client", host, 443));
    ASSERT_TRUE(response.ok()) << host;
    EXPECT_EQ(response->destination_name(), "") << host;
    EXPECT_FALSE(response->has_destination());
  }
}

TEST(ResolveRoute, LeadsThroughAHeadlessServiceToAPod) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: direct, namespace: shop}
spec: {clusterIP: None, selector: {app: tea}, ports: [{name: http, port: 8080}]}
)");
  auto response = mesh.compiler().ResolveRoute(Request("shop/client", "direct", 8080));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->destination_name(), "10.1.0.1:8080");
  EXPECT_TRUE(response->endpoints().contains("shop/tea-1.pod:8080"));
}

TEST(ResolveRoute, SaysWhatIsWrongWithTheQuestion) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(
      "{apiVersion: v1, kind: Service, metadata: {name: empty, namespace: shop}, "
      "spec: {clusterIP: None}}");
  auto wrong_port = mesh.compiler().ResolveRoute(Request("shop/client", "tea.1", 8080));
  EXPECT_EQ(wrong_port.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(wrong_port.status().message()),
              HasSubstr("Service shop/tea.1 has no port 8080; it has 80"));
  EXPECT_EQ(mesh.compiler().ResolveRoute(Request("shop/client", "empty", 80)).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(mesh.compiler().ResolveRoute(Request("shop/client", "", 80)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(mesh.compiler().ResolveRoute(Request("shop/client", "tea.1", 0)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(mesh.compiler().ResolveRoute(Request("shop/client", "tea.1", 70000)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Counts, AreOfTheWholeMesh) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  Compiler::Counts counts = mesh.compiler().GetCounts();
  EXPECT_EQ(counts.services, 2u);
  EXPECT_EQ(counts.endpoints, 2u);
  EXPECT_EQ(counts.splits, 1u);
  EXPECT_EQ(counts.pods, 2u);
  EXPECT_EQ(counts.handed_out, 0u);
  mesh.Remove(store::Kind::kPod, "shop", "tea-1");
  EXPECT_EQ(mesh.compiler().GetCounts().endpoints, 1u);
}

}  // namespace
}  // namespace weft::compile
