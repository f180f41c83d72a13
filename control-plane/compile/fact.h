// The smallest things a resource can depend on. What a compilation reads is recorded as facts; what
// a change of objects touches is a list of facts; a resource is recomputed when the two meet.
#ifndef WEFT_CONTROL_PLANE_COMPILE_FACT_H_
#define WEFT_CONTROL_PLANE_COMPILE_FACT_H_

#include <compare>
#include <string>
#include <utility>

namespace weft::compile {

enum class FactKind {
  kService,        // "namespace/name": the object
  kPod,            // "namespace/name": the object
  kRouteGroup,     // "namespace/name": the HTTPRouteGroup
  kTcpRoute,       // "namespace/name": the TCPRoute
  kAddress,        // an IP: which service or pod has it
  kEndpoints,      // "namespace/service": its slices, its Endpoints object and the pods it selects
  kServicesOfPod,  // "namespace/pod": the services that select it
  kSplits,         // "namespace/service": the TrafficSplits of that root
  kMeshConfig,     // "": the mesh-wide settings
  kTrustBundle,    // a trust domain
};

// True or not, present or not: a fact is a question that was asked, not its answer.
struct Fact {
  FactKind kind;
  std::string name;

  auto operator<=>(const Fact&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Fact& fact) {
    return H::combine(std::move(h), fact.kind, fact.name);
  }
};

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_FACT_H_
