// TrafficSplits (SMI Traffic Split v1alpha1 to v1alpha4): what one says, and the rules that follow
// from it.
#ifndef WEFT_CONTROL_PLANE_COMPILE_SPLIT_H_
#define WEFT_CONTROL_PLANE_COMPILE_SPLIT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/compile/findings.h"
#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// A TrafficSplit understood. Services are names in the split's own namespace.
struct SplitPlan {
  struct Backend {
    std::string service;    // empty: the reference is malformed or leads to another namespace
    std::string reference;  // as written
    uint64_t weight = 0;    // a ratio
  };

  const k8s::TrafficSplit* split = nullptr;
  std::string root;
  std::vector<Backend> backends;
  // Whether only some requests are split: those that one of `matches` applies to, and all those on
  // a port that a TCPRoute names.
  bool conditional = false;
  std::vector<weft::v1::HttpMatch> matches;
  bool matches_all_ports = false;
  std::vector<uint32_t> matches_ports;
};

// Understands the split. nullopt, with findings that say why, if it can have no effect: its root is
// no service of its namespace, it has no backends, or a weight is malformed. Route groups that are
// missing or have mistakes are findings and match nothing.
std::optional<SplitPlan> PlanSplit(const View& view, const k8s::TrafficSplit& split,
                                   FindingSink& findings);

// The split that decides for a service: the oldest of those that can have an effect.
std::optional<SplitPlan> SplitInForce(const View& view, std::string_view name_space,
                                      std::string_view root, FindingSink& findings);

// The rules for the root's port under the split: what the split says, then, unless that applies to
// every request, the root's own endpoints.
std::vector<weft::v1::Rule> RulesOf(const View& view, const SplitPlan& plan,
                                    const k8s::Service& root, const k8s::ServicePort& port,
                                    weft::v1::Protocol protocol);

// The rule that sends everything to the service's own endpoints.
weft::v1::Rule OwnEndpoints(const k8s::Service& service, const k8s::ServicePort& port);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_SPLIT_H_
