// What an object's status says of it: the conditions that the mesh writes (meta/v1 Condition).
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_CONDITIONS_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_CONDITIONS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "control-plane/compile/review.h"

namespace weft::cluster {

// One condition as it should be. The time of its last transition belongs to the object.
struct Condition {
  std::string type;  // "Accepted", "ResolvedRefs"
  bool met = false;
  std::string reason;  // CamelCase
  std::string message;
  int64_t observed_generation = 0;

  bool operator==(const Condition&) const = default;
};

// Accepted: the object is understood and in force. ResolvedRefs, of a TrafficSplit: everything that
// it names exists and can be used. What is not met carries the reason of the gravest finding, and
// all findings in its message; so does what is met only in part.
std::vector<Condition> ConditionsOf(const compile::Review& review);

// The object's `status.conditions` as they should become, or nullopt if they say it already.
// Conditions of types that are not among `wanted` are others' and stay. A condition whose status
// stays keeps its time; `now` is that of those that change.
std::optional<nlohmann::json> MergeConditions(const nlohmann::json& object,
                                              const std::vector<Condition>& wanted, absl::Time now);

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_CONDITIONS_H_
