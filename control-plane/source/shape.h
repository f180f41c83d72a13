// Compares a JSON value with the message it is to become, for errors that name the field.
#ifndef WEFT_CONTROL_PLANE_SOURCE_SHAPE_H_
#define WEFT_CONTROL_PLANE_SOURCE_SHAPE_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/struct.pb.h"

namespace weft::source {

struct FieldError {
  std::string field;    // "spec.ports[0].port"
  std::string message;  // "expected a whole number, got the string \"http\""
};

struct Shape {
  std::vector<FieldError> errors;    // fields of the wrong type; at most 16
  std::vector<std::string> unknown;  // fields that the message does not have; at most 256
};

// Follows protobuf's JSON mapping, but is as strict as Kubernetes: a number in quotes is a string.
// null is the same as absent.
Shape CompareShape(const google::protobuf::Value& value,
                   const google::protobuf::Descriptor& message);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_SHAPE_H_
