#include "control-plane/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Update PodUpdate(std::string name_space, std::string name, std::string ip) {
  auto pod = std::make_shared<k8s::Pod>();
  pod->mutable_metadata()->set_namespace_(name_space);
  pod->mutable_metadata()->set_name(name);
  pod->mutable_status()->set_pod_ip(ip);
  return {{Kind::kPod, std::move(name_space), std::move(name)}, std::move(pod)};
}

TEST(Store, AnObjectThatComesChangesAndGoesMakesOneChangeEach) {
  Store store;
  std::vector<Change> changes = store.Apply({PodUpdate("shop", "a", "10.0.0.1")});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].before, nullptr);
  EXPECT_NE(changes[0].after, nullptr);

  changes = store.Apply({PodUpdate("shop", "a", "10.0.0.2")});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(static_cast<const k8s::Pod&>(*changes[0].before).status().pod_ip(), "10.0.0.1");
  EXPECT_EQ(static_cast<const k8s::Pod&>(*changes[0].after).status().pod_ip(), "10.0.0.2");
  EXPECT_EQ(store.Find<k8s::Pod>("shop", "a")->status().pod_ip(), "10.0.0.2");

  changes = store.Apply({{{Kind::kPod, "shop", "a"}, nullptr}});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].after, nullptr);
  EXPECT_EQ(store.Find<k8s::Pod>("shop", "a"), nullptr);
}

TEST(Store, EqualObjectsAndRemovalsOfNothingAreNoChanges) {
  Store store;
  store.Apply({PodUpdate("shop", "a", "10.0.0.1")});
  EXPECT_THAT(store.Apply({PodUpdate("shop", "a", "10.0.0.1")}), IsEmpty());
  EXPECT_THAT(store.Apply({{{Kind::kPod, "shop", "b"}, nullptr}}), IsEmpty());
}

TEST(Store, ObjectsAreVisitedByNamespaceInOrder) {
  Store store;
  store.Apply({PodUpdate("shop", "b", "1"), PodUpdate("shop", "a", "2"),
               PodUpdate("shop2", "c", "3"), PodUpdate("bar", "d", "4")});
  std::vector<std::string> names;
  auto collect = [&](const k8s::Pod& pod) { names.push_back(pod.metadata().name()); };
  store.ForEach<k8s::Pod>("shop", collect);
  EXPECT_THAT(names, ElementsAre("a", "b"));
  names.clear();
  store.ForEach<k8s::Pod>("", collect);
  EXPECT_THAT(names, ElementsAre("d", "a", "b", "c"));
  EXPECT_EQ(store.Count(Kind::kPod), 4u);
  EXPECT_EQ(store.Count(Kind::kService), 0u);
}

TEST(Kinds, EveryKindIsFoundByItsGroupAndVersionsOnly) {
  struct Case {
    std::string_view api_version, kind;
    Support support;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"v1", "Pod", Support::kYes},
           {"v1", "Namespace", Support::kYes},
           {"v1", "Service", Support::kYes},
           {"v1", "Endpoints", Support::kYes},
           {"v1", "ServiceAccount", Support::kYes},
           {"discovery.k8s.io/v1", "EndpointSlice", Support::kYes},
           {"split.smi-spec.io/v1alpha1", "TrafficSplit", Support::kYes},
           {"split.smi-spec.io/v1alpha2", "TrafficSplit", Support::kYes},
           {"split.smi-spec.io/v1alpha3", "TrafficSplit", Support::kYes},
           {"split.smi-spec.io/v1alpha4", "TrafficSplit", Support::kYes},
           {"split.smi-spec.io/v1alpha5", "TrafficSplit", Support::kUnknownVersion},
           {"split.smi-spec.io/v1", "TrafficSplit", Support::kUnknownVersion},
           {"specs.smi-spec.io/v1alpha2", "HTTPRouteGroup", Support::kUnknownVersion},
           {"specs.smi-spec.io/v1alpha3", "HTTPRouteGroup", Support::kYes},
           {"specs.smi-spec.io/v1alpha4", "TCPRoute", Support::kYes},
           {"weft.io/v1", "MeshConfig", Support::kYes},
           {"serving.knative.dev/v1", "Service", Support::kUnknownKind},
           {"v1", "ConfigMap", Support::kUnknownKind},
           {"apps/v1", "Deployment", Support::kUnknownKind},
           {"", "", Support::kUnknownKind}}) {
    EXPECT_EQ(LookUpKind(c.api_version, c.kind).support, c.support)
        << c.api_version << " " << c.kind;
  }
}

TEST(Kinds, MetadataIsFoundWhateverTheKind) {
  for (int i = 0; i < kKindCount; ++i) {
    EXPECT_EQ(MetaOf(*NewMessage(static_cast<Kind>(i))).name(), "");
  }
}

}  // namespace
}  // namespace weft::store
