// What dialled addresses lead to, and what sidecars are told about their own pods.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

using ::testing::IsEmpty;

constexpr char kMeshConfig[] =
    "{apiVersion: weft.io/v1, kind: MeshConfig, metadata: {name: default}, spec: ";

TEST(Destination, IsKnownByEveryAddressOfTheService) {
  MeshForTest mesh;
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, "FD00:0::1"], ports: [{port: 80}, {port: 443}]}
)");
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] web=1");
  EXPECT_EQ(mesh.Rules("[fd00::1]:80"), "[*] web=1");
  EXPECT_EQ(mesh.Destination("[fd00::1]:443")->service_port(), 443u);
  EXPECT_EQ(mesh.Destination("10.0.0.1:443")->rules(0).backends(0).endpoints(), "shop/web:443");
}

TEST(Destination, ThatIsNotOfTheMeshDoesNotExist) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: shop}
spec: {type: ExternalName, externalName: example.com, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: on-host, namespace: shop}
spec: {hostNetwork: true}
status: {phase: Running, podIP: 192.168.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop}
status: {phase: Succeeded, podIP: 10.1.0.77}
)");
  for (std::string_view name : {"93.184.216.34:443", "10.0.0.1:81", "192.168.0.1:80",
                                "10.1.0.77:80", "10.0.0.1", "tea.1:80", "", "[10.0.0.1]:80"}) {
    EXPECT_EQ(mesh.Rules(name), "none") << name;
  }
}

TEST(Destination, OfAPodIsThePodAloneWithTheProtocolItsServicesDeclare) {
  MeshForTest mesh;
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, ports: [{name: http-admin, containerPort: 9000}]}]}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}
)");
  EXPECT_EQ(mesh.Rules("10.1.0.1:5432"), "[*] db-0.pod:5432=1");
  EXPECT_EQ(mesh.Rules("[fd00::1]:5432"), "[*] db-0.pod:5432=1");
  EXPECT_EQ(mesh.Destination("10.1.0.1:5432")->service(), "");
  EXPECT_EQ(mesh.Destination("10.1.0.1:5432")->protocol(), weft::v1::PROTOCOL_TCP);
  EXPECT_EQ(mesh.Destination("10.1.0.1:9000")->protocol(), weft::v1::PROTOCOL_HTTP);
  EXPECT_EQ(mesh.Destination("10.1.0.1:1234")->protocol(), weft::v1::PROTOCOL_DETECT);
  EXPECT_EQ(mesh.Addresses("shop/db-0.pod:5432"), "10.1.0.1:5432");
}

TEST(Destination, IsOpaqueIfThePodsBehindItSaySo) {
  for (std::string_view prefix : {"config.weft.io", "config.nsm.nginx.com"}) {
    MeshForTest mesh;
    mesh.Apply(kTea);
    mesh.Apply(
        absl::StrCat("{apiVersion: v1, kind: Pod, metadata: {name: tea-1, namespace: shop, "
                     "labels: {app: tea, version: v1}, annotations: {",
                     ToAbsl(prefix), "/opaque-ports: \"8000-8100\"}}, status: {podIP: 10.1.0.1}}"));
    EXPECT_EQ(mesh.Destination("10.0.0.1:80")->protocol(), weft::v1::PROTOCOL_TCP);
    EXPECT_EQ(mesh.Destination("10.1.0.1:8080")->protocol(), weft::v1::PROTOCOL_TCP);
    EXPECT_EQ(mesh.Destination("10.0.0.2:80")->protocol(), weft::v1::PROTOCOL_HTTP);
  }
}

TEST(Destination, BalancesAsTheServiceSaysElseTheMeshElseByLeastTime) {
  struct Case {
    std::string_view annotation, mesh;
    weft::v1::LbMethod expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", "", weft::v1::LB_METHOD_LEAST_TIME},
           {"", "round_robin", weft::v1::LB_METHOD_ROUND_ROBIN},
           {"config.weft.io/lb-method: random two", "round_robin", weft::v1::LB_METHOD_RANDOM_TWO},
           {"config.nsm.nginx.com/lb-method: least_conn", "", weft::v1::LB_METHOD_LEAST_CONN},
           {"config.weft.io/lb-method: fastest", "round_robin", weft::v1::LB_METHOD_ROUND_ROBIN},
           {"", "fastest", weft::v1::LB_METHOD_LEAST_TIME}}) {
    MeshForTest mesh;
    mesh.Apply(absl::StrCat(
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, "
        "annotations: {",
        ToAbsl(c.annotation), "}}, spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}}"));
    if (!c.mesh.empty()) mesh.Apply(absl::StrCat(kMeshConfig, "{lbMethod: ", ToAbsl(c.mesh), "}}"));
    EXPECT_EQ(mesh.Destination("10.0.0.1:80")->lb_method(), c.expected) << c.annotation << c.mesh;
  }
}

TEST(Destination, OfAnAddressThatTwoServicesClaimIsTheOldestServices) {
  MeshForTest mesh;
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}
)");
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] b=1");
}

// The inbound ports in short: "8080 HTTP shop/tea.1".
std::vector<std::string> Ports(const weft::v1::Workload& workload) {
  std::vector<std::string> ports;
  for (const auto& port : workload.inbound_ports()) {
    ports.push_back(absl::StrCat(
        port.port(), " ", weft::v1::Protocol_Name(port.protocol()).substr(sizeof("PROTOCOL_") - 1),
        port.service().empty() ? "" : " ", port.service()));
  }
  return ports;
}

TEST(Workload, SaysWhoThePodIsAndWhatItsPortsSpeak) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: tea-metrics, namespace: shop}
spec: {clusterIP: 10.0.0.9, selector: {app: tea}, ports: [{name: http, port: 9090}, {port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: tea-1
  namespace: shop
  labels: {app: tea, version: v1, pod-template-hash: abc}
  ownerReferences: [{kind: ReplicaSet, name: tea-v1-abc, controller: true}]
  annotations: {config.weft.io/opaque-ports: "6379", config.weft.io/client-max-body-size: 10m}
spec:
  serviceAccountName: tea-one
  containers:
  - {name: app, ports: [{containerPort: 8080}, {name: grpc-api, containerPort: 9000}, {containerPort: 7000}, {containerPort: 53, protocol: UDP}]}
  - {name: weft-sidecar, ports: [{name: http-metrics, containerPort: 15020}]}
status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}
)");
  weft::v1::Workload workload = *mesh.Workload("shop/tea-1");
  EXPECT_EQ(workload.namespace_(), "shop");
  EXPECT_EQ(workload.pod(), "tea-1");
  EXPECT_EQ(workload.workload(), "tea-v1");
  EXPECT_EQ(workload.service_account(), "tea-one");
  EXPECT_EQ(workload.spiffe_id(), "spiffe://cluster.local/ns/shop/sa/tea-one");
  EXPECT_THAT(workload.addresses(), ::testing::ElementsAre("10.1.0.1", "fd00::1"));
  EXPECT_EQ(workload.mtls_mode(), weft::v1::MTLS_MODE_PERMISSIVE);
  EXPECT_THAT(Ports(workload),
              ::testing::ElementsAre("6379 TCP", "7000 DETECT", "8080 HTTP shop/tea.1", "9000 GRPC",
                                     "9090 HTTP shop/tea-metrics"));
  for (const auto& port : workload.inbound_ports()) {
    EXPECT_EQ(port.client_max_body_bytes(), 10u << 20);
  }
}

TEST(Workload, OfServicesThatDisagreeDetectsAndSaysSo) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: tea-raw, namespace: shop}
spec: {clusterIP: 10.0.0.9, selector: {app: tea, version: v1}, ports: [{name: tcp, port: 1, targetPort: 8080}]}
)");
  EXPECT_THAT(Ports(*mesh.Workload("shop/tea-1")),
              ::testing::ElementsAre("8080 DETECT shop/tea-raw"));
  EXPECT_THAT(mesh.Findings(),
              ::testing::ElementsAre("ProtocolConflict at Pod shop/tea-1 port 8080"));
}

TEST(Workload, IsStrictIfTheMeshOrThePodSaysSo) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  EXPECT_EQ(mesh.Workload("shop/tea-1")->mtls_mode(), weft::v1::MTLS_MODE_PERMISSIVE);
  mesh.Apply(absl::StrCat(kMeshConfig, "{mtlsMode: strict}}"));
  EXPECT_EQ(mesh.Workload("shop/tea-1")->mtls_mode(), weft::v1::MTLS_MODE_STRICT);
  EXPECT_EQ(mesh.compiler().Settings().mtls_mode(), weft::v1::MTLS_MODE_STRICT);
  mesh.Apply(absl::StrCat(kMeshConfig, "{mtlsMode: off, denyUnknownDestinations: true}}"));
  EXPECT_EQ(mesh.Workload("shop/tea-1")->mtls_mode(), weft::v1::MTLS_MODE_OFF);
  EXPECT_TRUE(mesh.compiler().Settings().deny_unknown_destinations());
}

TEST(Workload, OfNoPodDoesNotExist) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  for (std::string_view name : {"", "/", "tea-1", "shop/", "shop/tea-9", "other/tea-1"}) {
    EXPECT_FALSE(mesh.Workload(name)) << name;
    EXPECT_EQ(mesh.compiler().IdentityOf(name), std::nullopt) << name;
  }
}

TEST(Identity, IsThatOfThePodsServiceAccount) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  EXPECT_EQ(mesh.compiler().IdentityOf("shop/tea-2")->ToString(),
            "spiffe://cluster.local/ns/shop/sa/tea-two");
}

TEST(MeshSettings, AreThereWithoutAMeshConfig) {
  MeshForTest mesh;
  EXPECT_NE(mesh.compiler().Get({ResourceType::kMeshSettings, "default"}), nullptr);
  EXPECT_EQ(mesh.compiler().Get({ResourceType::kMeshSettings, "other"}), nullptr);
  EXPECT_EQ(mesh.compiler().Settings().trust_domain(), "cluster.local");
  EXPECT_EQ(mesh.compiler().Settings().lb_method(), weft::v1::LB_METHOD_LEAST_TIME);
}

}  // namespace
}  // namespace weft::compile
