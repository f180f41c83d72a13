// The control plane's replicas in a cluster: what it takes to call each of them.
#ifndef WEFT_TOOLS_MESHCTL_CLUSTER_CONTROL_PLANE_H_
#define WEFT_TOOLS_MESHCTL_CLUSTER_CONTROL_PLANE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/meshctl/cluster.h"
#include "tools/meshctl/cluster_child.h"

namespace weft::meshctl {

// Where the chart and the control plane keep what meshctl needs.
inline constexpr char kOperatorSecret[] = "weft-operator";
inline constexpr char kRootConfigMap[] = "weft-root";
inline constexpr char kControlPlaneLabel[] = "app.kubernetes.io/name=weft-control-plane";

// A port of this machine behind which a pod's port 15012 is, as long as the object lives.
struct ForwardedReplica {
  std::string pod;
  std::string address;  // "127.0.0.1:40001"
  Child kubectl;
};

struct ClusterControlPlane {
  std::string root_pem;
  std::string operator_token;              // secret
  std::vector<ForwardedReplica> replicas;  // at least one
};

// Reads the operator's token and the roots, and forwards a port to every ready replica. Errors say
// what is missing and what to do. Call it on the main thread.
absl::StatusOr<ClusterControlPlane> ReachControlPlane(const Cluster& cluster);

// The value of `key` in a Secret's data, decoded. NotFound; DataLoss if it is no base64.
absl::StatusOr<std::string> SecretValue(const Json& secret, std::string_view key);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CLUSTER_CONTROL_PLANE_H_
