// YAML documents as JSON values.
#ifndef WEFT_CONTROL_PLANE_SOURCE_YAML_H_
#define WEFT_CONTROL_PLANE_SOURCE_YAML_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"

namespace weft::source {

// Bounds on what one file may hold, so that no file can exhaust the control plane.
struct YamlLimits {
  size_t bytes = 16 << 20;
  size_t documents = 10'000;
  // After aliases and merges are expanded; a value counts as 64 bytes plus its text. An alias bomb
  // ends here.
  size_t expanded_bytes = 64 << 20;
  size_t depth = 64;
};

// Parses a stream of YAML documents (JSON is YAML). Plain scalars have the types of YAML 1.2's core
// schema, quoted ones are strings; anchors, aliases and merge keys ("<<") are expanded. An empty
// document is null. InvalidArgument names the document (from 1) and the line: a syntax error, a key
// given twice, a key or number that JSON cannot have. ResourceExhausted: a limit is passed.
absl::StatusOr<std::vector<google::protobuf::Value>> ParseYaml(std::string_view bytes,
                                                               const YamlLimits& limits = {});

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_YAML_H_
