#include "control-plane/compile/mesh_namespaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MeshNamespaces, AreThoseThatAskForSidecarsOrHavePodsWithSome) {
  MeshForTest mesh;
  EXPECT_THAT(mesh.compiler().MeshNamespaces(), IsEmpty());
  mesh.Apply(R"(
apiVersion: v1
kind: Namespace
metadata: {name: by-annotation, annotations: {weft.io/inject: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: by-label, labels: {weft.io/inject: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: nginx, annotations: {injector.nsm.nginx.com/auto-inject: "true"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: declined, annotations: {weft.io/inject: disabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: plain}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, namespace: plain, uid: uid-1}
spec: {containers: [{name: app}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: single-pod}
spec: {containers: [{name: app}], initContainers: [{name: weft-sidecar, restartPolicy: Always}]}
)");
  EXPECT_THAT(mesh.compiler().MeshNamespaces(),
              ElementsAre("by-annotation", "by-label", "nginx", "single-pod"));
  EXPECT_EQ(mesh.compiler().UidOf("plain/alone"), "uid-1");
  EXPECT_EQ(mesh.compiler().UidOf("plain/nobody"), "");
  EXPECT_EQ(mesh.compiler().UidOf("plain"), "");
}

}  // namespace
}  // namespace weft::compile
