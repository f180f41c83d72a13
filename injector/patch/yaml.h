// YAML as kubectl reads it (YAML 1.1: `yes` is true, 0644 is octal), as JSON that keeps the order
// of keys, and back.
#ifndef WEFT_INJECTOR_PATCH_YAML_H_
#define WEFT_INJECTOR_PATCH_YAML_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "injector/patch/json.h"

namespace weft::inject {

// Bounds on one text.
struct YamlLimits {
  size_t bytes = 16 << 20;
  size_t documents = 10'000;
  size_t values = 2'000'000;  // after aliases are expanded
  size_t depth = 100;
};

// The documents of the stream; JSON is YAML. Anchors, aliases and merge keys ("<<") are expanded.
// An empty document is null. InvalidArgument names document (from 1), line and column;
// ResourceExhausted: a limit is passed.
absl::StatusOr<std::vector<Json>> ParseYaml(std::string_view text, const YamlLimits& limits = {});

// What a plain (unquoted) scalar means to kubectl: null, true, false, a number, else the text.
Json ResolveScalar(std::string_view text);

// One document in block style, as kubectl prints: two blanks a level, lists not indented. Ends with
// a newline. Reading it gives the same value.
std::string EmitYaml(const Json& document);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_YAML_H_
