// HTTPRouteGroups (SMI Traffic Specs v1alpha3 and v1alpha4) as conditions on requests.
#ifndef WEFT_CONTROL_PLANE_COMPILE_ROUTE_GROUP_H_
#define WEFT_CONTROL_PLANE_COMPILE_ROUTE_GROUP_H_

#include <vector>

#include "control-plane/compile/findings.h"
#include "k8s/smi.pb.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// The group's matches, in its order. One with a mistake in it (an invalid expression, a name used
// twice, no condition at all) is a finding and left out: it matches no request rather than every
// one.
std::vector<weft::v1::HttpMatch> MatchesOf(const k8s::HttpRouteGroup& group, FindingSink& findings);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_ROUTE_GROUP_H_
