// The kinds of objects that the mesh reads from the Kubernetes API.
#ifndef WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_RESOURCE_H_
#define WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_RESOURCE_H_

#include <span>
#include <string>
#include <string_view>

#include "control-plane/store/object.h"

namespace weft::source {

// Where a kind lives in the API.
struct KubernetesResource {
  store::Kind kind;
  std::string_view group;                      // empty: core
  std::span<const std::string_view> versions;  // the preferred one first
  std::string_view name;                       // plural, as in paths: "trafficsplits"
  // Part of every cluster; otherwise it is there only while its CustomResourceDefinition is.
  bool built_in;

  // "/apis/split.smi-spec.io", "/api" for the core group.
  std::string GroupPath() const;
  // "/apis/split.smi-spec.io/v1alpha4".
  std::string VersionPath(std::string_view version) const;
  // "split.smi-spec.io/v1alpha4".
  std::string ApiVersion(std::string_view version) const;
  // "trafficsplits.split.smi-spec.io", as rules of access and errors name it.
  std::string FullName() const;
};

// All that the mesh reads.
std::span<const KubernetesResource> KubernetesResources();

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_RESOURCE_H_
