#include "injector/patch/json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"

namespace weft::inject {

absl::StatusOr<Json> ParseJson(std::string_view text) {
  // The parser keeps its own stack, but whoever walks the value later recurses.
  int deepest = 0;
  const auto measure = [&deepest](int depth, Json::parse_event_t, Json&) {
    deepest = std::max(deepest, depth);
    return depth <= kMaxJsonDepth;
  };
  Json json = Json::parse(text, measure, /*allow_exceptions=*/false);
  if (deepest > kMaxJsonDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is nested more than ", kMaxJsonDepth, " levels deep"));
  }
  if (json.is_discarded()) return absl::InvalidArgumentError("it is no JSON");
  return json;
}

const Json* Find(const Json& json, std::string_view key) {
  if (!json.is_object()) return nullptr;
  const auto it = json.find(std::string(key));
  return it == json.end() || it->is_null() ? nullptr : &*it;
}

const Json* FindPath(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = &json;
  for (std::string_view key : path) {
    at = Find(*at, key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string StringAt(const Json& json, std::string_view key) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

bool BoolAt(const Json& json, std::string_view key, bool otherwise) {
  const Json* value = Find(json, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}

const Json& ArrayAt(const Json& json, std::string_view key) {
  static const Json& empty = *new Json(Json::array());
  const Json* value = Find(json, key);
  return value != nullptr && value->is_array() ? *value : empty;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string PointerToken(std::string_view key) {
  return absl::StrReplaceAll(ToAbsl(key), {{"~", "~0"}, {"/", "~1"}});
}

}  // namespace weft::inject
