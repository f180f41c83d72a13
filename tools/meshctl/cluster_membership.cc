#include "tools/meshctl/cluster_membership.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"

namespace weft::meshctl {
namespace {

constexpr int kPageSize = 500;

// What an object says about injection: Weft's annotation or label, else NGINX Service Mesh's.
std::optional<bool> Wish(const Json& object) {
  for (const char* key : {"weft.io/inject", "injector.nsm.nginx.com/auto-inject"}) {
    for (const char* place : {"annotations", "labels"}) {
      const std::string value = TextAt(object, {"metadata", place, key});
      if (value == "enabled" || value == "true") return true;
      if (value == "disabled" || value == "false") return false;
    }
  }
  return std::nullopt;
}

// Calls `visit` for every item of a list, page by page, until it returns false.
template <typename Visit>
absl::Status ForEachItem(const Cluster& cluster, const std::string& path, Visit visit) {
  std::string token;
  do {
    const absl::StatusOr<Json> page = cluster.Get(
        absl::StrCat(path, "?limit=", kPageSize, token.empty() ? "" : "&continue=", token));
    if (!page.ok()) return page.status();
    for (const Json& item : ItemsOf(*page)) {
      if (!visit(item)) return absl::OkStatus();
    }
    token = TextAt(*page, {"metadata", "continue"});
  } while (!token.empty());
  return absl::OkStatus();
}

}  // namespace

bool HasSidecar(const Json& pod) {
  for (const char* list : {"initContainers", "containers"}) {
    const Json& containers = At(pod, {"spec", list});
    if (!containers.is_array()) continue;
    for (const Json& container : containers) {
      if (TextAt(container, {"name"}) == "weft-sidecar") return true;
    }
  }
  return false;
}

absl::StatusOr<std::vector<std::string>> MemberNamespaces(const Cluster& cluster) {
  std::vector<std::string> members;
  const absl::Status listed = ForEachItem(cluster, "/api/v1/namespaces", [&](const Json& item) {
    const std::string name = TextAt(item, {"metadata", "name"});
    if (name != cluster.mesh_namespace() && Wish(item).value_or(false)) members.push_back(name);
    return true;
  });
  if (!listed.ok()) return listed;
  std::ranges::sort(members);
  return members;
}

absl::StatusOr<std::vector<std::string>> PodsWithoutSidecar(const Cluster& cluster,
                                                            const std::string& name_space) {
  std::vector<std::string> pods;
  const absl::Status listed = ForEachItem(
      cluster, absl::StrCat("/api/v1/namespaces/", name_space, "/pods"), [&](const Json& pod) {
        const bool runs = TextAt(pod, {"status", "phase"}) == "Running" &&
                          At(pod, {"metadata", "deletionTimestamp"}).is_null();
        const bool stays_out =
            At(pod, {"spec", "hostNetwork"}) == true || !Wish(pod).value_or(true);
        if (runs && !stays_out && !HasSidecar(pod))
          pods.push_back(TextAt(pod, {"metadata", "name"}));
        return true;
      });
  if (!listed.ok()) return listed;
  return pods;
}

absl::StatusOr<std::vector<std::string>> PodsWithSidecar(const Cluster& cluster, size_t most) {
  std::vector<std::string> pods;
  const absl::Status listed = ForEachItem(cluster, "/api/v1/pods", [&](const Json& pod) {
    const std::string name_space = TextAt(pod, {"metadata", "namespace"});
    const std::string phase = TextAt(pod, {"status", "phase"});
    if (name_space != cluster.mesh_namespace() && phase != "Succeeded" && phase != "Failed" &&
        HasSidecar(pod)) {
      pods.push_back(absl::StrCat(name_space, "/", TextAt(pod, {"metadata", "name"})));
    }
    return pods.size() < most;
  });
  if (!listed.ok()) return listed;
  return pods;
}

}  // namespace weft::meshctl
