// One object of a manifest or of the Kubernetes API, from JSON to its message.
#ifndef WEFT_CONTROL_PLANE_SOURCE_OBJECT_H_
#define WEFT_CONTROL_PLANE_SOURCE_OBJECT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/source/shape.h"
#include "control-plane/store/object.h"
#include "google/protobuf/struct.pb.h"

namespace weft::source {

// What became of one JSON object.
struct ParsedObject {
  std::string name;  // "Service shop/tea", as far as it could be read
  // Unset if the object is of a kind that the mesh does not read, or if there are errors.
  std::optional<store::Update> update;
  std::vector<FieldError> errors;    // it cannot be used
  std::vector<FieldError> warnings;  // it can, but says something that we do not understand
  bool unknown_kind = false;
};

// Reads an object with `apiVersion`, `kind` and `metadata`. Objects of namespaced kinds without a
// namespace are in "default".
ParsedObject ParseObject(const google::protobuf::Value& json);

// The same from JSON text. `api_version` and `kind` serve if the object does not say (the items of
// a list of built-in kinds do not).
ParsedObject ParseObjectJson(std::string_view json, std::string_view api_version = {},
                             std::string_view kind = {});

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_OBJECT_H_
