// The weights of a TrafficSplit's backends.
#ifndef WEFT_CONTROL_PLANE_COMPILE_WEIGHT_H_
#define WEFT_CONTROL_PLANE_COMPILE_WEIGHT_H_

#include <cstdint>
#include <optional>

#include "google/protobuf/struct.pb.h"

namespace weft::compile {

// A weight in thousandths: a number (v1alpha2 and later), or a Kubernetes quantity of v1alpha1,
// that is a decimal number with an optional suffix m, k, M or G ("1", "500m", "0.5"). Fractions
// below a thousandth are rounded up, as Kubernetes does. nullopt if it is missing, malformed,
// negative or above 10^9.
std::optional<uint64_t> WeightInThousandths(const google::protobuf::Value& weight);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_WEIGHT_H_
