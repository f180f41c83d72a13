#include "control-plane/source/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/source/manifest_set.h"
#include "control-plane/source/object.h"
#include "control-plane/store/kinds.h"

namespace weft::source {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Names(const std::vector<store::Update>& updates) {
  std::vector<std::string> names;
  for (const store::Update& update : updates) {
    names.push_back(absl::StrCat(update.object == nullptr ? "-" : "", update.key.ToString()));
  }
  return names;
}

std::string Pod(std::string_view name, std::string_view rest = "") {
  return absl::StrCat("{apiVersion: v1, kind: Pod, metadata: {name: ", ToAbsl(name),
                      ", namespace: shop}", ToAbsl(rest), "}\n---\n");
}

TEST(Manifest, DocumentsAndListsAreObjectsAndForeignKindsAreNot) {
  Manifest manifest = ParseManifest(R"(
# A comment before everything.
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, namespace: ignored}
---
apiVersion: v1
kind: Pod
metadata: {name: a}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: tea.1, namespace: shop}}
- {apiVersion: v1, kind: Secret, metadata: {name: s}}
- apiVersion: v1
  kind: List
  items: [{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSliceList
items: [{metadata: {name: tea-1, namespace: shop}}]
---
apiVersion: weft.io/v1
kind: MeshConfig
metadata: {name: default, namespace: ignored}
)",
                                    "mesh.yaml");
  EXPECT_THAT(manifest.errors, IsEmpty());
  EXPECT_THAT(manifest.warnings, IsEmpty());
  EXPECT_THAT(
      Names(manifest.objects),
      ElementsAre("Namespace shop", "Pod default/a", "Service shop/tea.1",
                  "ServiceAccount default/sa", "EndpointSlice shop/tea-1", "MeshConfig default"));
  EXPECT_EQ(store::MetaOf(*manifest.objects[1].object).namespace_(), "default");
}

TEST(Manifest, AWrongTypeIsAnErrorThatNamesFileDocumentObjectAndField) {
  struct Case {
    std::string_view document, field, message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: {ports: "
            "[{port: http}]}}",
            "spec.ports[0].port",
            "document 2, Service shop/tea: expected a whole number, got the string \"http\""},
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: {ports: "
            "[{port: \"80\"}]}}",
            "spec.ports[0].port", "expected a whole number, got the string \"80\""},
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: {ports: "
            "[{port: 80.5}]}}",
            "spec.ports[0].port", "expected a whole number, got the number 80.5"},
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: {ports: "
            "[{port: 1e10}]}}",
            "spec.ports[0].port", "expected a whole number"},
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: {ports: "
            "{port: 80}}}",
            "spec.ports", "expected a list, got a map"},
           {"{apiVersion: v1, kind: Service, metadata: {name: tea, namespace: shop}, spec: [1]}",
            "spec", "expected a map, got a list"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {version: 1}}}",
            "metadata.labels[version]", "expected a string, got the number 1"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {version: null}}}",
            "metadata.labels[version]", "expected a string, got null"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: \"yes\"}}",
            "spec.hostNetwork", "expected true or false, got the string \"yes\""},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a, creationTimestamp: 5}}",
            "metadata.creationTimestamp",
            "expected a time such as 2026-01-31T12:00:00Z, got the number 5"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a, creationTimestamp: yesterday}}",
            "metadata.creationTimestamp", "got the string \"yesterday\""},
           {"{apiVersion: v1, kind: Pod, metadata: {namespace: shop}}", "metadata.name",
            "document 2, Pod shop/: is missing"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: A_B}}", "metadata.name", "is no name"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a/b}}", "metadata.name", "is no name"},
           {"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x.y}}",
            "metadata.namespace", "is no name of a namespace"},
           {"{kind: Pod, metadata: {name: a}}", "apiVersion", "is missing or no string"},
           {"{apiVersion: v1, metadata: {name: a}}", "kind", "is missing or no string"},
           {"[1, 2]", "", "expected an object"},
           {"hello", "", "expected an object"},
           {"a: [", "", "document 2: line 3"}}) {
    Manifest manifest = ParseManifest(absl::StrCat("null\n---\n", ToAbsl(c.document)), "x.yaml");
    ASSERT_GE(manifest.errors.size(), 1u) << c.document;
    EXPECT_EQ(manifest.errors[0].object(), "x.yaml");
    EXPECT_EQ(manifest.errors[0].field(), c.field) << c.document;
    EXPECT_THAT(manifest.errors[0].message(), HasSubstr(std::string(c.message))) << c.document;
    EXPECT_THAT(manifest.objects, IsEmpty()) << c.document;
  }
}

TEST(Manifest, SlipsOfThePenInMeshObjectsAreWarnings) {
  Manifest manifest = ParseManifest(R"(
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: {name: a, namespace: shop, managedFields: []}
spec: {service: web, colour: red, backends: [{service: a, wieght: 1}]}
status: {anything: 1}
---
apiVersion: split.smi-spec.io/v1alpha9
kind: TrafficSplit
metadata: {name: b}
---
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {priority: 5}
)",
                                    "x.yaml");
  EXPECT_THAT(manifest.errors, IsEmpty());
  EXPECT_THAT(Names(manifest.objects), ElementsAre("TrafficSplit shop/a", "Pod default/a"));
  std::vector<std::string> warnings;
  for (const auto& warning : manifest.warnings) {
    warnings.push_back(absl::StrCat(warning.reason(), " ", warning.field()));
  }
  EXPECT_THAT(warnings, ::testing::UnorderedElementsAre("FieldUnknown spec.colour",
                                                        "FieldUnknown spec.backends[0].wieght",
                                                        "VersionUnsupported apiVersion"));
}

TEST(Manifest, AnObjectTwiceInOneFileIsAnError) {
  Manifest manifest = ParseManifest(Pod("a") + Pod("a"), "x.yaml");
  ASSERT_EQ(manifest.errors.size(), 1u);
  EXPECT_THAT(manifest.errors[0].message(), HasSubstr("the object is in document 1 already"));
}

TEST(Manifest, ListsInListsEnd) {
  std::string list = "{}";
  for (int i = 0; i < 10; ++i) {
    list = absl::StrCat("{apiVersion: v1, kind: List, items: [", list, "]}");
  }
  ASSERT_EQ(ParseManifest(list, "x.yaml").errors.size(), 1u);
}

TEST(Manifest, ObjectsRecordedFromAnApiServerAreRead) {
  const std::pair<std::string_view, size_t> files[] = {{"pods.json", 2},
                                                       {"services.json", 3},
                                                       {"endpointslices.json", 2},
                                                       {"httproutegroups.json", 1},
                                                       {"trafficsplits.json", 2},
                                                       {"namespaces.json", 7},
                                                       {"dual-stack.json", 3},
                                                       {"named-port-differs.json", 4},
                                                       {"deployment-chain.json", 2},
                                                       {"headless.json", 2}};
  for (const auto& [name, count] : files) {
    std::ifstream file(absl::StrCat("control-plane/source/testdata/", ToAbsl(name)));
    ASSERT_TRUE(file) << name;
    Manifest manifest =
        ParseManifest(std::string(std::istreambuf_iterator<char>(file), {}), std::string(name));
    for (const auto& error : manifest.errors) ADD_FAILURE() << error.ShortDebugString();
    for (const auto& warning : manifest.warnings) ADD_FAILURE() << warning.ShortDebugString();
    EXPECT_EQ(manifest.objects.size(), count) << name;
  }
}

TEST(Object, ItemsOfAListAreReadWithTheListsKind) {
  ParsedObject parsed =
      ParseObjectJson(R"({"metadata":{"name":"a","namespace":"shop"}})", "v1", "Pod");
  ASSERT_TRUE(parsed.update);
  EXPECT_EQ(parsed.update->key.ToString(), "Pod shop/a");
  EXPECT_FALSE(ParseObjectJson("{\"metadata\"", "v1", "Pod").errors.empty());
  EXPECT_FALSE(ParseObjectJson("[]", "v1", "Pod").errors.empty());
}

TEST(ManifestSet, AFileWithErrorsCountsAsItDidBefore) {
  ManifestSet set;
  set.Put("a.yaml", ParseManifest(Pod("a") + Pod("b"), "a.yaml"));
  EXPECT_THAT(Names(set.TakeUpdates()), ElementsAre("Pod shop/a", "Pod shop/b"));
  set.Put("a.yaml", ParseManifest(Pod("a") + "x: [", "a.yaml"));
  EXPECT_THAT(set.TakeUpdates(), IsEmpty());
  EXPECT_EQ(set.Findings().size(), 1u);
  set.PutUnreadable("a.yaml", "cannot open a.yaml");
  EXPECT_THAT(set.TakeUpdates(), IsEmpty());
  ASSERT_EQ(set.Findings().size(), 1u);
  EXPECT_EQ(set.Findings()[0].reason(), "FileUnreadable");
  set.Put("a.yaml", ParseManifest(Pod("b"), "a.yaml"));
  EXPECT_THAT(Names(set.TakeUpdates()), ElementsAre("-Pod shop/a", "Pod shop/b"));
  EXPECT_THAT(set.Findings(), IsEmpty());
}

TEST(ManifestSet, AFileThatNeverWasRightCountsWithWhatIsRightInIt) {
  ManifestSet set;
  set.Put("a.yaml", ParseManifest(Pod("a") + Pod("B"), "a.yaml"));
  EXPECT_THAT(Names(set.TakeUpdates()), ElementsAre("Pod shop/a"));
  EXPECT_EQ(set.Findings().size(), 1u);
}

TEST(ManifestSet, OfAnObjectInTwoFilesTheFirstByPathCounts) {
  ManifestSet set;
  set.Put("b.yaml", ParseManifest(Pod("a", ", spec: {nodeName: b}"), "b.yaml"));
  set.TakeUpdates();
  set.Put("a.yaml", ParseManifest(Pod("a", ", spec: {nodeName: a}"), "a.yaml"));
  std::vector<store::Update> updates = set.TakeUpdates();
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(static_cast<const k8s::Pod&>(*updates[0].object).spec().node_name(), "a");
  ASSERT_EQ(set.Findings().size(), 1u);
  EXPECT_EQ(set.Findings()[0].object(), "b.yaml");
  EXPECT_EQ(set.Findings()[0].reason(), "ObjectDuplicate");
  set.Remove("a.yaml");
  updates = set.TakeUpdates();
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(static_cast<const k8s::Pod&>(*updates[0].object).spec().node_name(), "b");
  EXPECT_THAT(set.Findings(), IsEmpty());
  set.Remove("b.yaml");
  EXPECT_THAT(Names(set.TakeUpdates()), ElementsAre("-Pod shop/a"));
}

}  // namespace
}  // namespace weft::source
