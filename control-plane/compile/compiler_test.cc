// What is recomputed and announced when objects change.
#include "control-plane/compile/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Asks for everything that two sidecars would.
void SubscribeToTea(MeshForTest& mesh) {
  mesh.Destination("10.0.0.1:80");
  mesh.Destination("10.0.0.2:80");
  mesh.Endpoints("shop/tea.1:80");
  mesh.Endpoints("shop/tea.2:80");
  mesh.Workload("shop/tea-1");
  mesh.Workload("shop/tea-2");
  mesh.Destination("93.184.216.34:443");
}

TEST(Compiler, AnnouncesNothingThatNobodyHasAskedFor) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kCookieCanary);
  EXPECT_THAT(mesh.TakeAnnounced(), IsEmpty());
}

TEST(Compiler, AnnouncesResourcesThatComeToExistAndCeaseTo) {
  MeshForTest mesh;
  SubscribeToTea(mesh);
  mesh.Apply(kTea);
  EXPECT_THAT(
      mesh.TakeAnnounced(),
      ElementsAre("Workload shop/tea-1", "Workload shop/tea-2", "Destination 10.0.0.1:80",
                  "Destination 10.0.0.2:80", "Endpoints shop/tea.1:80", "Endpoints shop/tea.2:80"));
  mesh.Remove(store::Kind::kService, "shop", "tea.1");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Workload shop/tea-1", "Destination 10.0.0.1:80",
                                                "Endpoints shop/tea.1:80"));
  EXPECT_EQ(mesh.compiler().Get({ResourceType::kDestination, "10.0.0.1:80"}), nullptr);
}

TEST(Compiler, ASplitAndItsGroupTouchTheRootAlone) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  mesh.Apply(kCookieCanary);
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Destination 10.0.0.1:80"));
  mesh.Apply(R"(
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: beta, namespace: shop}
spec: {matches: [{name: beta-users, headers: {cookie: "version=gamma"}}]}
)");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Destination 10.0.0.1:80"));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[cookie~version=gamma] tea.1=0 tea.2=100; [*] tea.1=1");
  mesh.Remove(store::Kind::kTrafficSplit, "shop", "canary");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Destination 10.0.0.1:80"));
}

TEST(Compiler, APodTouchesTheEndpointsOfItsServicesAlone) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  mesh.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: tea-2b, namespace: shop, labels: {app: tea, version: v2}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.1.0.3}
)");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Endpoints shop/tea.2:80"));
  EXPECT_EQ(mesh.Addresses("shop/tea.2:80"), "10.1.0.2:8080 10.1.0.3:8080");
  mesh.Remove(store::Kind::kPod, "shop", "tea-2b");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Endpoints shop/tea.2:80"));
}

TEST(Compiler, APodThatChangesSidesTouchesBoth) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  mesh.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: tea-1, namespace: shop, labels: {app: tea, version: v2}}
spec: {serviceAccountName: tea-one, containers: [{name: app, ports: [{name: web, containerPort: 8080}]}, {name: weft-sidecar}]}
status: {phase: Running, podIP: 10.1.0.1}
)");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Workload shop/tea-1", "Endpoints shop/tea.1:80",
                                                "Endpoints shop/tea.2:80"));
}

TEST(Compiler, ResultsThatComeOutTheSameAreNotAnnounced) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  auto before = mesh.compiler().Get({ResourceType::kEndpoints, "shop/tea.1:80"});
  // The same objects again, and one with a label that nobody looks at.
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: tea-1, namespace: shop, resourceVersion: "7", labels: {app: tea, version: v1, note: x}}
spec: {serviceAccountName: tea-one, containers: [{name: app}, {name: weft-sidecar}]}
status: {phase: Running, podIP: 10.1.0.1}
)");
  EXPECT_THAT(mesh.TakeAnnounced(), IsEmpty());
  EXPECT_EQ(mesh.compiler().Get({ResourceType::kEndpoints, "shop/tea.1:80"}), before);
}

TEST(Compiler, ABackendThatComesIsSeenByTheSplitThatNamesIt) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: canary, namespace: shop}
spec: {service: tea.1, backends: [{service: tea.3, weight: 1}]}
)");
  SubscribeToTea(mesh);
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] nobody");
  mesh.Apply(R"(
apiVersion: v1
kind: Service
metadata: {name: tea.3, namespace: shop}
spec: {clusterIP: 10.0.0.3, ports: [{port: 80}]}
)");
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("Destination 10.0.0.1:80"));
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.3=1");
}

TEST(Compiler, MeshConfigTouchesWhatItDecides) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  mesh.compiler().Get({ResourceType::kMeshSettings, "default"});
  mesh.Apply(
      "{apiVersion: weft.io/v1, kind: MeshConfig, metadata: {name: default}, "
      "spec: {mtlsMode: strict}}");
  EXPECT_THAT(mesh.TakeAnnounced(),
              ElementsAre("Workload shop/tea-1", "Workload shop/tea-2", "MeshSettings default"));
}

TEST(Compiler, AnAddressThatChangesHandsIsAnnounced) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Destination("10.1.0.1:8080");
  mesh.Destination("10.1.0.9:8080");
  mesh.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: tea-1, namespace: shop, labels: {app: tea, version: v1}}
status: {phase: Running, podIP: 10.1.0.9}
)");
  EXPECT_THAT(mesh.TakeAnnounced(),
              ElementsAre("Destination 10.1.0.1:8080", "Destination 10.1.0.9:8080"));
  EXPECT_EQ(mesh.Rules("10.1.0.1:8080"), "none");
  EXPECT_EQ(mesh.Rules("10.1.0.9:8080"), "[*] tea-1.pod:8080=1");
}

TEST(Compiler, ReleasedResourcesAreForgotten) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  SubscribeToTea(mesh);
  EXPECT_EQ(mesh.compiler().GetCounts().handed_out, 7u);
  for (const char* name : {"10.0.0.1:80", "10.0.0.2:80", "93.184.216.34:443", "10.9.9.9:1"}) {
    mesh.compiler().Release({ResourceType::kDestination, name});
  }
  EXPECT_EQ(mesh.compiler().GetCounts().handed_out, 4u);
  mesh.Apply(kCookieCanary);
  EXPECT_THAT(mesh.TakeAnnounced(), IsEmpty());
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[cookie~version=beta] tea.1=0 tea.2=100; [*] tea.1=1");
}

TEST(Compiler, VersionsDependOnContentAlone) {
  MeshForTest one, other;
  one.Apply(kTea);
  one.Apply(kCookieCanary);
  other.Apply(kCookieCanary);
  other.Apply(kTea);
  for (const ResourceKey& key : {ResourceKey{ResourceType::kDestination, "10.0.0.1:80"},
                                 ResourceKey{ResourceType::kEndpoints, "shop/tea.2:80"},
                                 ResourceKey{ResourceType::kWorkload, "shop/tea-1"}}) {
    EXPECT_EQ(one.compiler().Get(key)->version, other.compiler().Get(key)->version) << key.name;
    EXPECT_EQ(one.compiler().Get(key)->bytes, other.compiler().Get(key)->bytes);
  }
}

TEST(Compiler, ServesTheTrustBundleAndAnnouncesItsRotation) {
  MeshForTest mesh;
  const ResourceKey key{ResourceType::kTrustBundle, "cluster.local"};
  EXPECT_EQ(mesh.compiler().Get(key), nullptr);
  weft::v1::TrustBundle bundle;
  bundle.set_trust_domain("cluster.local");
  bundle.add_roots_pem("old");
  mesh.compiler().SetTrustBundle(bundle);
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("TrustBundle cluster.local"));
  EXPECT_NE(mesh.compiler().Get(key), nullptr);
  mesh.compiler().SetTrustBundle(bundle);
  EXPECT_THAT(mesh.TakeAnnounced(), IsEmpty());
  bundle.add_roots_pem("new");
  mesh.compiler().SetTrustBundle(bundle);
  EXPECT_THAT(mesh.TakeAnnounced(), ElementsAre("TrustBundle cluster.local"));
}

TEST(Compiler, TheListenerMayAskForWhatHasChanged) {
  Compiler compiler(Compiler::Options{});
  const ResourceKey key{ResourceType::kTrustBundle, "cluster.local"};
  EXPECT_EQ(compiler.Get(key), nullptr);
  bool found = false;
  compiler.SetListener([&](const std::vector<ResourceKey>& keys) {
    found = compiler.Get(keys.at(0)) != nullptr;
    compiler.Release(keys.at(0));
  });
  weft::v1::TrustBundle bundle;
  bundle.set_trust_domain("cluster.local");
  compiler.SetTrustBundle(bundle);
  EXPECT_TRUE(found);
}

TEST(Compiler, ManyThreadsMayAskWhileObjectsChange) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&mesh] {
      for (int i = 0; i < 500; ++i) {
        const ResourceKey key{ResourceType::kDestination, absl::StrCat("10.0.0.", i % 4, ":80")};
        std::shared_ptr<const Resource> resource = mesh.compiler().Get(key);
        if (resource != nullptr) EXPECT_EQ(resource->key, key);
        if (i % 3 == 0) mesh.compiler().Release(key);
        mesh.compiler().IdentityOf("shop/tea-1");
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    if (i % 2 == 0) {
      mesh.Apply(kCookieCanary);
    } else {
      mesh.Remove(store::Kind::kTrafficSplit, "shop", "canary");
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mesh.Rules("10.0.0.1:80"), "[*] tea.1=1");
}

}  // namespace
}  // namespace weft::compile
