#include "injector/patch/pod.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::inject {
namespace {

constexpr size_t kMaxContainers = 1000;  // of one list; the API server takes no more either

absl::Status CheckContainers(const Json& spec, std::string_view list,
                             absl::flat_hash_set<std::string>& names) {
  const Json* containers = Find(spec, list);
  if (containers == nullptr) return absl::OkStatus();
  const std::string field = absl::StrCat("spec.", ToAbsl(list));
  if (!containers->is_array() || containers->size() > kMaxContainers) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": expected a list of containers"));
  }
  for (size_t i = 0; i < containers->size(); ++i) {
    const std::string name = StringAt((*containers)[i], "name");
    if (name.empty() || !names.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, "[", i, "].name: ", name.empty() ? "expected a name" : "the name is used twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::map<std::string, std::string> StringMap(const Json* object) {
  std::map<std::string, std::string> strings;
  if (object == nullptr || !object->is_object()) return strings;
  for (const auto& [key, value] : object->items()) {
    if (value.is_string()) strings.emplace(key, value.get<std::string>());
  }
  return strings;
}

std::optional<ConfigAnnotation> FindConfig(const Json& pod, std::string_view name) {
  const Json* annotations = FindPath(pod, {"metadata", "annotations"});
  if (annotations == nullptr) return std::nullopt;
  for (const char* prefix : {"config.weft.io/", "config.nsm.nginx.com/"}) {
    const std::string key = absl::StrCat(prefix, ToAbsl(name));
    const Json* value = Find(*annotations, key);
    if (value == nullptr || !value->is_string()) continue;
    return ConfigAnnotation{absl::StrCat("metadata.annotations[", key, "]"),
                            value->get<std::string>()};
  }
  return std::nullopt;
}

absl::Status PodPatch::CheckShape(const Json& pod) {
  for (const char* map : {"annotations", "labels"}) {
    const Json* metadata = FindPath(pod, {"metadata", map});
    if (metadata != nullptr && !metadata->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("metadata.", map, ": expected an object"));
    }
  }
  const Json* metadata = Find(pod, "metadata");
  if (metadata != nullptr && !metadata->is_object()) {
    return absl::InvalidArgumentError("metadata: expected an object");
  }
  const Json* spec = Find(pod, "spec");
  if (spec == nullptr || !spec->is_object()) {
    return absl::InvalidArgumentError("spec: expected an object");
  }
  absl::flat_hash_set<std::string> names;
  for (const char* list : {"initContainers", "containers"}) {
    if (absl::Status status = CheckContainers(*spec, list, names); !status.ok()) return status;
  }
  if (ArrayAt(*spec, "containers").empty()) {
    return absl::InvalidArgumentError("spec.containers: expected at least one container");
  }
  for (const char* list : {"volumes", "imagePullSecrets"}) {
    const Json* value = Find(*spec, list);
    if (value != nullptr && !value->is_array()) {
      return absl::InvalidArgumentError(absl::StrCat("spec.", list, ": expected a list"));
    }
  }
  return absl::OkStatus();
}

void PodPatch::Require(const std::string& pointer, Json empty) {
  const Json::json_pointer at(pointer);
  if (!pod_.contains(at) || pod_.at(at).is_null()) Add(pointer, std::move(empty));
}

void PodPatch::SetMetadata(std::string_view map, std::string_view key, std::string value) {
  Require("/metadata", Json::object());
  const std::string pointer = absl::StrCat("/metadata/", ToAbsl(map));
  Require(pointer, Json::object());
  Add(absl::StrCat(pointer, "/", PointerToken(key)), std::move(value));
}

void PodPatch::Apply(const char* operation, const std::string& pointer, Json value) {
  Json step = Json::object();
  step["op"] = operation;
  step["path"] = pointer;
  step["value"] = std::move(value);
  pod_.patch_inplace(Json::array({step}));
  patch_.push_back(std::move(step));
}

void ForEachContainer(
    const Json& pod,
    const std::function<void(std::string_view list, size_t index, const Json& container)>& visit) {
  const Json* spec = Find(pod, "spec");
  if (spec == nullptr) return;
  for (const char* list : {"initContainers", "containers"}) {
    const Json& containers = ArrayAt(*spec, list);
    for (size_t i = 0; i < containers.size(); ++i) visit(list, i, containers[i]);
  }
}

}  // namespace weft::inject
