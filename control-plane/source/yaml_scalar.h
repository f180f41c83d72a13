// The types of YAML's plain scalars.
#ifndef WEFT_CONTROL_PLANE_SOURCE_YAML_SCALAR_H_
#define WEFT_CONTROL_PLANE_SOURCE_YAML_SCALAR_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"

namespace weft::source {

// The value of a plain (unquoted) scalar by the core schema of YAML 1.2.2, section 10.3.2: null,
// true, false, a number, else a string. InvalidArgument: a number that JSON cannot have.
absl::StatusOr<google::protobuf::Value> ResolveScalar(std::string_view text);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_YAML_SCALAR_H_
