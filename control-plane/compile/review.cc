#include "control-plane/compile/review.h"

#include <utility>

#include "control-plane/compile/check.h"
#include "control-plane/compile/findings.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/route_group.h"
#include "control-plane/compile/view.h"

namespace weft::compile {
namespace {

Review ReviewOf(store::Kind kind, const k8s::ObjectMeta& meta, FindingSink& findings) {
  return {.key = {kind, meta.namespace_(), meta.name()},
          .uid = meta.uid(),
          .generation = meta.generation(),
          .findings = findings.Take()};
}

}  // namespace

std::vector<Review> ReviewObjects(const Index& index, const View& view) {
  std::vector<Review> reviews;
  index.store().ForEach<k8s::TrafficSplit>("", [&](const k8s::TrafficSplit& split) {
    FindingSink findings;
    CheckSplit(view, split, findings);
    reviews.push_back(ReviewOf(store::Kind::kTrafficSplit, split.metadata(), findings));
  });
  index.store().ForEach<k8s::HttpRouteGroup>("", [&](const k8s::HttpRouteGroup& group) {
    FindingSink findings;
    MatchesOf(group, findings);
    reviews.push_back(ReviewOf(store::Kind::kHttpRouteGroup, group.metadata(), findings));
  });
  return reviews;
}

}  // namespace weft::compile
