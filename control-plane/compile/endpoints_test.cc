// Where endpoints come from and what is said about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

// A service "web" whose port leads to 8080, and pods that it selects: {metadata..., spec...,
// status...}.
std::string Service(std::string_view spec) {
  return absl::StrCat(
      "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {",
      ToAbsl(spec), "}}\n---\n");
}

std::string Pod(std::string_view name, std::string_view status, std::string_view spec = "",
                std::string_view metadata = "") {
  return absl::StrCat("{apiVersion: v1, kind: Pod, metadata: {name: ", ToAbsl(name),
                      ", namespace: shop, labels: {app: web}", ToAbsl(metadata), "}, spec: {",
                      ToAbsl(spec), "}, status: {", ToAbsl(status), "}}\n---\n");
}

constexpr char kSelecting[] =
    "clusterIP: 10.0.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]";

TEST(Endpoints, OfManifestsAloneAreTheSelectedPodsThatServe) {
  struct Case {
    std::string_view pod, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"phase: Running, podIP: 10.1.0.1", "10.1.0.1:8080"},
           {"podIP: 10.1.0.1", "10.1.0.1:8080"},
           {"phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, status: \"True\"}]",
            "10.1.0.1:8080"},
           {"phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, status: \"False\"}]", ""},
           {"phase: Running, podIP: 10.1.0.1, conditions: [{type: Other, status: \"False\"}]",
            "10.1.0.1:8080"},
           {"phase: Pending, podIP: 10.1.0.1", ""},
           {"phase: Succeeded, podIP: 10.1.0.1", ""},
           {"phase: Failed, podIP: 10.1.0.1", ""},
           {"phase: Running", ""},
           {"phase: Running, podIP: no-address", ""},
           {"phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: \"fd00::1\"}]", "10.1.0.1:8080"},
           {"phase: Running, podIPs: [{ip: \"fd00::1\"}]", "fd00::1:8080"}}) {
    MeshForTest mesh;
    mesh.Apply(Service(kSelecting) + Pod("a", c.pod));
    EXPECT_EQ(mesh.Addresses("shop/web:80"), c.expected) << c.pod;
  }
}

TEST(Endpoints, OfATerminatingPodAreDraining) {
  MeshForTest mesh;
  mesh.Apply(Service(kSelecting) + Pod("a", "phase: Running, podIP: 10.1.0.1", "",
                                       ", deletionTimestamp: 2026-01-01T00:00:00Z"));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:8080(draining)");
}

TEST(Endpoints, OfPodsThatAreNotReadyArePublishedIfTheServiceSaysSo) {
  MeshForTest mesh;
  mesh.Apply(Service(absl::StrCat(kSelecting, ", publishNotReadyAddresses: true")) +
             Pod("a", "phase: Pending, podIP: 10.1.0.1"));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:8080");
}

TEST(Endpoints, FollowNamedTargetPortsPodByPod) {
  MeshForTest mesh;
  mesh.Apply(Service("selector: {app: web}, ports: [{port: 80, targetPort: web}, {port: 81}, "
                     "{port: 82, targetPort: \"8082\"}, {port: 83, protocol: UDP}]") +
             Pod("a", "podIP: 10.1.0.1",
                 "containers: [{name: x, ports: [{name: web, containerPort: 1}]}]") +
             Pod("b", "podIP: 10.1.0.2",
                 "containers: [{name: x, ports: [{name: web, containerPort: 2}]}]") +
             Pod("c", "podIP: 10.1.0.3",
                 "containers: [{name: x, ports: [{name: web, containerPort: 3, protocol: UDP}]}]"));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:1 10.1.0.2:2");
  EXPECT_EQ(mesh.Addresses("shop/web:81"), "10.1.0.1:81 10.1.0.2:81 10.1.0.3:81");
  EXPECT_EQ(mesh.Addresses("shop/web:82"), "10.1.0.1:8082 10.1.0.2:8082 10.1.0.3:8082");
  EXPECT_EQ(mesh.Addresses("shop/web:83"), "none");
}

TEST(Endpoints, FollowTheFamilyOfTheServicesMainAddress) {
  for (bool v6 : {false, true}) {
    MeshForTest mesh;
    mesh.Apply(Service(absl::StrCat("selector: {app: web}, ports: [{port: 80}], clusterIP: ",
                                    v6 ? "\"fd01::1\"" : "10.0.0.1")) +
               Pod("a", "podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: \"fd00::1\"}]"));
    EXPECT_EQ(mesh.Addresses("shop/web:80"), v6 ? "fd00::1:80" : "10.1.0.1:80");
  }
}

std::string Slice(std::string_view name, std::string_view rest) {
  return absl::StrCat(
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ", ToAbsl(name),
      ", namespace: shop, labels: {kubernetes.io/service-name: web}}, ", ToAbsl(rest), "}\n---\n");
}

TEST(Endpoints, OfSlicesGoByTheirConditions) {
  struct Case {
    std::string_view conditions, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"{}", "10.1.0.1:8080"},
           {"{ready: true}", "10.1.0.1:8080"},
           {"{ready: null, serving: null}", "10.1.0.1:8080"},
           {"{ready: false}", ""},
           {"{ready: false, serving: true}", ""},
           {"{ready: false, serving: true, terminating: true}", "10.1.0.1:8080(draining)"},
           {"{ready: false, serving: false, terminating: true}", ""},
           {"{ready: true, serving: true, terminating: true}", "10.1.0.1:8080"}}) {
    MeshForTest mesh;
    mesh.Apply(Service(kSelecting) + Pod("a", "phase: Running, podIP: 10.9.9.9") +
               Slice("web-1", absl::StrCat("addressType: IPv4, ports: [{name: http, port: 8080}], "
                                           "endpoints: [{addresses: [10.1.0.1], conditions: ",
                                           ToAbsl(c.conditions), "}]")));
    EXPECT_EQ(mesh.Addresses("shop/web:80"), c.expected) << c.conditions;
  }
}

TEST(Endpoints, OfSeveralSlicesAreJoinedAndEachAddressCountsOnce) {
  MeshForTest mesh;
  mesh.Apply(
      Service(kSelecting) +
      Slice("web-1",
            "addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: "
            "[{addresses: [10.1.0.1], conditions: {ready: false, serving: true, "
            "terminating: true}}, {addresses: [10.1.0.2]}]") +
      Slice("web-2",
            "addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: "
            "[{addresses: [10.1.0.1]}]") +
      Slice("web-3",
            "addressType: IPv4, ports: [{name: http, port: 9090}], endpoints: "
            "[{addresses: [10.1.0.4]}]") +
      Slice("web-4", "addressType: IPv4, ports: null, endpoints: [{addresses: [10.1.0.5]}]") +
      Slice("web-5",
            "addressType: FQDN, ports: [{name: http, port: 80}], endpoints: "
            "[{addresses: [example.com]}]") +
      Slice("web-6", "addressType: IPv4, ports: [{name: other, port: 80}], endpoints: null"));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:8080 10.1.0.2:8080 10.1.0.4:9090");
}

TEST(Endpoints, OfADualStackPodInTwoSlicesCountOnce) {
  MeshForTest mesh;
  mesh.Apply(Service(kSelecting) + Pod("a", "podIPs: [{ip: 10.1.0.1}, {ip: \"fd00::1\"}]") +
             Slice("web-1",
                   "addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: "
                   "[{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a}}]") +
             Slice("web-2",
                   "addressType: IPv6, ports: [{name: http, port: 8080}], endpoints: "
                   "[{addresses: [\"fd00::1\"], targetRef: {kind: Pod, name: a}}, "
                   "{addresses: [\"fd00::2\"]}]"));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:8080 fd00::2:8080");
}

TEST(Endpoints, OfAServiceWithoutSlicesAreThoseOfItsEndpointsObject) {
  MeshForTest mesh;
  mesh.Apply(Service("clusterIP: 10.0.0.1, ports: [{name: db, port: 5432}]") + R"(
apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: shop}
subsets:
- addresses: [{ip: 192.168.1.1}]
  notReadyAddresses: [{ip: 192.168.1.2}]
  ports: [{name: db, port: 5433}, {name: other, port: 1}]
)");
  EXPECT_EQ(mesh.Addresses("shop/web:5432"), "192.168.1.1:5433");
  EXPECT_FALSE(mesh.Endpoints("shop/web:5432")->endpoints(0).meshed());
}

TEST(Endpoints, SayWhoThePodIsAndWhetherItHasASidecar) {
  struct Case {
    std::string_view spec, metadata;
    bool meshed;
    std::string_view spiffe_id, workload;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"containers: [{name: app}]", "", false, "", "a"},
           {"containers: [{name: app}, {name: weft-sidecar}], serviceAccountName: web", "", true,
            "spiffe://cluster.local/ns/shop/sa/web", "a"},
           {"initContainers: [{name: weft-sidecar}]", "", true,
            "spiffe://cluster.local/ns/shop/sa/default", "a"},
           {"", ", ownerReferences: [{kind: StatefulSet, name: db}]", false, "", "db"},
           {"",
            ", ownerReferences: [{kind: Node, name: n}, {kind: Job, name: j, controller: true}]",
            false, "", "j"},
           // Without the label, what looks like a hash may be part of the name.
           {"", ", ownerReferences: [{kind: ReplicaSet, name: web-5d4f8, controller: true}]", false,
            "", "web-5d4f8"}}) {
    MeshForTest mesh;
    mesh.Apply(Service(kSelecting) + Pod("a", "podIP: 10.1.0.1", c.spec, c.metadata));
    weft::v1::Endpoint endpoint = mesh.Endpoints("shop/web:80")->endpoints(0);
    EXPECT_EQ(endpoint.meshed(), c.meshed) << c.spec;
    EXPECT_EQ(endpoint.spiffe_id(), c.spiffe_id) << c.spec;
    EXPECT_EQ(endpoint.workload(), c.workload) << c.metadata;
    EXPECT_EQ(endpoint.pod(), "a");
    EXPECT_EQ(endpoint.namespace_(), "shop");
  }
}

TEST(Endpoints, WhereKindsComeOneByOneAnEndpointWaitsForItsPod) {
  MeshForTest mesh({.awaits_pods = true});
  mesh.Apply(Service("clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]") +
             Slice("web-1",
                   "addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: "
                   "[{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a, namespace: shop}}, "
                   "{addresses: [192.0.2.1]}]"));
  // An address that is of no pod has nobody to wait for.
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "192.0.2.1:8080");
  mesh.Apply(Pod("a", "podIP: 10.1.0.1", "containers: [{name: weft-sidecar}]", ""));
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "10.1.0.1:8080 192.0.2.1:8080");
  EXPECT_TRUE(mesh.Endpoints("shop/web:80")->endpoints(0).meshed());
  mesh.Remove(store::Kind::kPod, "shop", "a");
  EXPECT_EQ(mesh.Addresses("shop/web:80"), "192.0.2.1:8080");
}

TEST(Endpoints, ThePodOfASliceIsFoundByReferenceOrByAddress) {
  for (std::string_view reference :
       {", targetRef: {kind: Pod, name: web-1, namespace: shop}", ""}) {
    MeshForTest mesh;
    mesh.Apply(Service("clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]") +
               Slice("web-1", absl::StrCat("addressType: IPv4, ports: [{name: http, port: 8080}], "
                                           "endpoints: [{addresses: [10.1.0.1], zone: west",
                                           ToAbsl(reference), "}]")));
    EXPECT_FALSE(mesh.Endpoints("shop/web:80")->endpoints(0).meshed());
    // The pod comes later than its slice.
    mesh.Apply(R"(
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  labels: {pod-template-hash: 5d4f8, topology.kubernetes.io/zone: east}
  ownerReferences: [{kind: ReplicaSet, name: web-v2-5d4f8, controller: true}]
spec: {containers: [{name: weft-sidecar}]}
status: {podIP: 10.1.0.1}
)");
    weft::v1::Endpoint endpoint = mesh.Endpoints("shop/web:80")->endpoints(0);
    EXPECT_EQ(endpoint.pod(), "web-1");
    EXPECT_EQ(endpoint.workload(), "web-v2");
    EXPECT_EQ(endpoint.zone(), "west");
    EXPECT_TRUE(endpoint.meshed());
  }
}

TEST(Endpoints, OfAPodAreThePodItselfReadyOrNot) {
  MeshForTest mesh;
  mesh.Apply(Pod("a", "phase: Pending, podIP: 10.1.0.1", "containers: [{name: weft-sidecar}]"));
  EXPECT_EQ(mesh.Addresses("shop/a.pod:8080"), "10.1.0.1:8080");
  EXPECT_EQ(mesh.Endpoints("shop/a.pod:8080")->endpoints(0).spiffe_id(),
            "spiffe://cluster.local/ns/shop/sa/default");
}

TEST(Endpoints, ThatNobodyHasDoNotExist) {
  MeshForTest mesh;
  mesh.Apply(Service(kSelecting) + Pod("done", "phase: Succeeded, podIP: 10.1.0.1"));
  for (std::string_view name :
       {"shop/web:81", "shop/none:80", "other/web:80", "shop/none.pod:80", "shop/done.pod:80", "",
        "shop", "shop/web", "web:80", "shop/web:", "shop/web:http", "shop/web:0", "shop/web:99999",
        ":80/", "/:", "//:80"}) {
    EXPECT_EQ(mesh.Addresses(name), "none") << name;
  }
}

// Objects recorded from an API server and its controllers.
class Recorded : public ::testing::Test {
 protected:
  void Load(std::string_view name) {
    std::ifstream file(absl::StrCat("control-plane/source/testdata/", ToAbsl(name)));
    ASSERT_TRUE(file) << name;
    mesh_.Apply(std::string(std::istreambuf_iterator<char>(file), {}));
  }

  MeshForTest mesh_;
};

TEST_F(Recorded, DualStackServicesHaveOneEndpointPerPod) {
  Load("dual-stack.json");
  EXPECT_EQ(mesh_.Addresses("es-dual-stack/web:80"), "10.244.1.30:8080 10.244.2.31:8080");
  EXPECT_EQ(mesh_.Endpoints("es-dual-stack/web:80")->endpoints(0).zone(), "zone-a");
  EXPECT_EQ(mesh_.Rules("10.96.59.38:80"), "[*] es-dual-stack/web=1");
  EXPECT_EQ(mesh_.Rules("[fd00:10:96::24b0]:80"), "[*] es-dual-stack/web=1");
}

TEST_F(Recorded, NamedPortsThatDifferAreJoinedFromTheirSlices) {
  Load("named-port-differs.json");
  EXPECT_EQ(mesh_.Addresses("es-named-port-differs/web:80"), "10.244.1.30:8080 10.244.2.31:9090");
}

TEST_F(Recorded, PodsOfADeploymentAreNamedAfterIt) {
  Load("deployment-chain.json");
  weft::v1::Workload workload = *mesh_.Workload("dep/web-6bd64467c8-9dcn6");
  EXPECT_EQ(workload.workload(), "web");
  EXPECT_THAT(workload.addresses(), ::testing::ElementsAre("10.244.1.10", "fd00:10:244:1::a"));
}

TEST_F(Recorded, HeadlessServicesHaveTheirReadyPods) {
  Load("headless.json");
  EXPECT_EQ(mesh_.compiler().ListServices("es-headless").services(0).ports(0).ready_endpoints(),
            1u);
}

}  // namespace
}  // namespace weft::compile
