// JSON as text (RFC 8259): finds the parts of a document, and leaves parts out, without building
// it in memory.
#ifndef WEFT_CONTROL_PLANE_SOURCE_JSON_TEXT_H_
#define WEFT_CONTROL_PLANE_SOURCE_JSON_TEXT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace weft::source {

// Where members and elements begin and end is all that is looked at: whoever uses a part parses it.
// Views point into `json`. InvalidArgument says at which byte the text makes no sense; parts before
// that have been visited.

// Calls `visit(key, value)` for every member of an object. Keys are as they are written, without
// quotes, escapes not resolved.
absl::Status ForEachMember(
    std::string_view json,
    const std::function<absl::Status(std::string_view key, std::string_view value)>& visit);

// Calls `visit(element)` for every element of an array; null is an empty array.
absl::Status ForEachElement(std::string_view json,
                            const std::function<absl::Status(std::string_view element)>& visit);

// The text of a string without escapes; nullopt for everything else.
std::optional<std::string_view> PlainString(std::string_view json);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_JSON_TEXT_H_
