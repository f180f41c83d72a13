// Who is in the mesh, as the API server tells it.
#ifndef WEFT_TOOLS_MESHCTL_CLUSTER_MEMBERSHIP_H_
#define WEFT_TOOLS_MESHCTL_CLUSTER_MEMBERSHIP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/meshctl/cluster.h"

namespace weft::meshctl {

// Namespaces whose label or annotation takes their pods into the mesh, sorted.
absl::StatusOr<std::vector<std::string>> MemberNamespaces(const Cluster& cluster);

// Running pods of a member namespace that should have a sidecar and have none.
absl::StatusOr<std::vector<std::string>> PodsWithoutSidecar(const Cluster& cluster,
                                                            const std::string& name_space);

// "namespace/pod" of pods with a sidecar, outside of the mesh's own namespace; it stops looking
// after `most`.
absl::StatusOr<std::vector<std::string>> PodsWithSidecar(const Cluster& cluster, size_t most);

// Whether the pod has a container of the sidecar's name.
bool HasSidecar(const Json& pod);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CLUSTER_MEMBERSHIP_H_
