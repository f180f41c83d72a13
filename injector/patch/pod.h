// The pod that is looked at, its surroundings, and the patch that grows with every change made to
// it.
#ifndef WEFT_INJECTOR_PATCH_POD_H_
#define WEFT_INJECTOR_PATCH_POD_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "injector/patch/json.h"

namespace weft::inject {

// What injection reads of a pod's namespace.
struct NamespaceFacts {
  std::string name;
  std::map<std::string, std::string> annotations;
  std::map<std::string, std::string> labels;
};

// The string members of an object such as `metadata.labels`; others are left out.
std::map<std::string, std::string> StringMap(const Json* object);

// An annotation of the "config.weft.io/" family, in this or in NGINX Service Mesh's spelling;
// Weft's own wins if both are there.
struct ConfigAnnotation {
  std::string field;  // "metadata.annotations[config.weft.io/drain-delay]"
  std::string value;
};
std::optional<ConfigAnnotation> FindConfig(const Json& pod, std::string_view name);

// A pod (or a pod template: `metadata` and `spec`), and the JSON Patch (RFC 6902) that made it what
// it is now.
class PodPatch {
 public:
  // InvalidArgument names the field that is not as a pod must be, so that the rest may rely on:
  // spec.containers is a list of one or more containers, spec.initContainers absent or a list,
  // every container an object with a name.
  static absl::Status CheckShape(const Json& pod);

  explicit PodPatch(Json pod) : pod_(std::move(pod)), patch_(Json::array()) {}

  const Json& pod() const { return pod_; }
  Json TakePatch() { return std::move(patch_); }

  // Pointers are RFC 6901's; what they lead into must exist.
  void Add(const std::string& pointer, Json value) { Apply("add", pointer, std::move(value)); }
  void Replace(const std::string& pointer, Json value) {
    Apply("replace", pointer, std::move(value));
  }

  // Adds an empty list or object where there is none, or null.
  void Require(const std::string& pointer, Json empty);

  // Sets a key of `metadata.annotations` or `metadata.labels` ("annotations", "labels").
  void SetMetadata(std::string_view map, std::string_view key, std::string value);

 private:
  void Apply(const char* operation, const std::string& pointer, Json value);

  Json pod_;
  Json patch_;
};

// Calls `visit(list, index, container)` for every container: list is "initContainers" or
// "containers".
void ForEachContainer(
    const Json& pod,
    const std::function<void(std::string_view list, size_t index, const Json& container)>& visit);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_POD_H_
