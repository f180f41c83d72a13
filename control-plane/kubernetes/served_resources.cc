#include "control-plane/kubernetes/served_resources.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/kubernetes/status.h"
#include "base/strings.h"
#include "control-plane/source/kubernetes_resource.h"

namespace weft::cluster {
namespace {

using nlohmann::json;

constexpr absl::Duration kKept = absl::Minutes(10);
constexpr absl::Duration kAbsenceKept = absl::Seconds(10);
constexpr absl::Duration kTimeout = absl::Seconds(10);

const source::KubernetesResource* DescriptionOf(store::Kind kind) {
  const auto all = source::KubernetesResources();
  const auto found = std::ranges::find(all, kind, &source::KubernetesResource::kind);
  return found == all.end() ? nullptr : &*found;
}

// Whether an APIResourceList has a resource of that name.
bool Lists(const json& list, const std::string& name) {
  if (!list.is_object() || !list.contains("resources") || !list["resources"].is_array()) {
    return false;
  }
  return std::ranges::any_of(list["resources"], [&](const json& resource) {
    return resource.is_object() && resource.contains("name") && resource["name"] == json(name);
  });
}

}  // namespace

std::string ServedResource::Path(const store::ObjectKey& key) const {
  return absl::StrCat("/apis/", api_version, "/namespaces/", kubernetes::EscapeUrl(key.name_space),
                      "/", name, "/", kubernetes::EscapeUrl(key.name));
}

absl::StatusOr<ServedResource> ServedResources::Find(store::Kind kind, absl::Time now,
                                                     const kubernetes::Cancellation& cancellation) {
  const auto known = known_.find(kind);
  if (known != known_.end() && now < known->second.until) return known->second.resource;
  absl::StatusOr<ServedResource> resource = Ask(kind, cancellation);
  if (resource.ok() || absl::IsNotFound(resource.status())) {
    known_.insert_or_assign(kind, Known{resource, now + (resource.ok() ? kKept : kAbsenceKept)});
  }
  return resource;
}

absl::StatusOr<ServedResource> ServedResources::Ask(
    store::Kind kind, const kubernetes::Cancellation& cancellation) const {
  const source::KubernetesResource* description = DescriptionOf(kind);
  if (description == nullptr) {
    return absl::InternalError(absl::StrCat(ToAbsl(store::KindName(kind)), " has no status"));
  }
  for (const std::string_view version : description->versions) {
    const std::string path = description->VersionPath(version);
    const absl::StatusOr<kubernetes::Response> response =
        client_.Call({.path = path, .timeout = kTimeout}, &cancellation);
    if (!response.ok()) return response.status();
    const absl::Status status = kubernetes::StatusOf(*response, "get", path);
    if (absl::IsNotFound(status)) continue;
    if (!status.ok()) return status;
    const json list = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
    ServedResource resource{.api_version = description->ApiVersion(version),
                            .name = std::string(description->name),
                            .full_name = description->FullName()};
    if (!Lists(list, resource.name)) continue;
    resource.has_status = Lists(list, absl::StrCat(resource.name, "/status"));
    return resource;
  }
  return absl::NotFoundError(absl::StrCat(description->FullName(), " is not installed"));
}

}  // namespace weft::cluster
