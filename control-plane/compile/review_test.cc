#include "control-plane/compile/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/compile/mesh_for_test.h"

namespace weft::compile {
namespace {

constexpr char kBrokenSplit[] = R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: canary, namespace: shop, uid: u1, generation: 3}
spec: {service: tea.1, backends: [{service: tea.1, weight: 1}, {service: tea.3, weight: 1}]}
)";

constexpr char kBrokenGroup[] = R"(
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: beta, namespace: shop, uid: u2, generation: 1}
spec: {matches: [{name: a, pathRegex: "("}]}
)";

TEST(Review, NamesEveryObjectThatHasAStatusWithItsOwnMistakesOnly) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  mesh.Apply(kBrokenSplit);
  mesh.Apply(kBrokenGroup);
  const std::vector<Review> reviews = mesh.compiler().Reviews();
  ASSERT_EQ(reviews.size(), 2u);
  EXPECT_EQ(reviews[0].key.ToString(), "TrafficSplit shop/canary");
  EXPECT_EQ(reviews[0].uid, "u1");
  EXPECT_EQ(reviews[0].generation, 3);
  ASSERT_EQ(reviews[0].findings.size(), 1u);
  EXPECT_EQ(reviews[0].findings[0].reason(), "BackendNotFound");
  EXPECT_EQ(reviews[1].key.ToString(), "HTTPRouteGroup shop/beta");
  EXPECT_EQ(reviews[1].findings.size(), 1u);
}

TEST(Review, IsTakenAgainOnlyWhenTheRevisionHasGrown) {
  MeshForTest mesh;
  mesh.Apply(kTea);
  const uint64_t before = mesh.compiler().Revision();
  mesh.compiler().Reviews();
  EXPECT_EQ(mesh.compiler().Revision(), before);
  mesh.Apply(kBrokenSplit);
  EXPECT_GT(mesh.compiler().Revision(), before);
}

}  // namespace
}  // namespace weft::compile
