#include "control-plane/source/kubernetes_resource.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::source {
namespace {

using store::Kind;

constexpr std::string_view kV1[] = {"v1"};
constexpr std::string_view kSplit[] = {"v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"};
constexpr std::string_view kSpecs[] = {"v1alpha4", "v1alpha3"};

constexpr KubernetesResource kResources[] = {
    {Kind::kNamespace, "", kV1, "namespaces", true},
    {Kind::kServiceAccount, "", kV1, "serviceaccounts", true},
    {Kind::kPod, "", kV1, "pods", true},
    {Kind::kService, "", kV1, "services", true},
    {Kind::kEndpointSlice, "discovery.k8s.io", kV1, "endpointslices", true},
    {Kind::kTrafficSplit, "split.smi-spec.io", kSplit, "trafficsplits", false},
    {Kind::kHttpRouteGroup, "specs.smi-spec.io", kSpecs, "httproutegroups", false},
    {Kind::kTcpRoute, "specs.smi-spec.io", kSpecs, "tcproutes", false},
    {Kind::kMeshConfig, "weft.io", kV1, "meshconfigs", false},
};

}  // namespace

std::string KubernetesResource::GroupPath() const {
  return group.empty() ? "/api" : absl::StrCat("/apis/", ToAbsl(group));
}

std::string KubernetesResource::VersionPath(std::string_view version) const {
  return absl::StrCat(GroupPath(), "/", ToAbsl(version));
}

std::string KubernetesResource::ApiVersion(std::string_view version) const {
  return absl::StrCat(ToAbsl(group), group.empty() ? "" : "/", ToAbsl(version));
}

std::string KubernetesResource::FullName() const {
  return absl::StrCat(ToAbsl(name), group.empty() ? "" : ".", ToAbsl(group));
}

std::span<const KubernetesResource> KubernetesResources() { return kResources; }

}  // namespace weft::source
