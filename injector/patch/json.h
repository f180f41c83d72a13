// JSON as the injector reads and writes it: objects keep the order of their keys, and reading never
// throws, whatever the shape of what was sent.
#ifndef WEFT_INJECTOR_PATCH_JSON_H_
#define WEFT_INJECTOR_PATCH_JSON_H_

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::inject {

using Json = nlohmann::ordered_json;

// How deep arrays and objects may nest in what ParseJson takes; the API server allows less.
inline constexpr int kMaxJsonDepth = 128;

// One JSON text. InvalidArgument if it is malformed or nested too deeply; its size is the caller's
// to bound.
absl::StatusOr<Json> ParseJson(std::string_view text);

// The member of an object; nullptr if it is absent or null, or `json` is no object.
const Json* Find(const Json& json, std::string_view key);

// The member at the end of a path of object keys; nullptr as above.
const Json* FindPath(const Json& json, std::initializer_list<std::string_view> path);

// The member if it is a string; else empty.
std::string StringAt(const Json& json, std::string_view key);

// The member if it is true or false; else `otherwise`.
bool BoolAt(const Json& json, std::string_view key, bool otherwise);

// The items of an array member; an empty array if there is none.
const Json& ArrayAt(const Json& json, std::string_view key);

// The text on one line. Bytes that are no UTF-8 become replacement characters.
std::string Dump(const Json& json);

// One reference token of a JSON Pointer (RFC 6901 section 3): "weft.io/status" is
// "weft.io~1status".
std::string PointerToken(std::string_view key);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_JSON_H_
