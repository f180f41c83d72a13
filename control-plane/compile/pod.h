// What a pod's object says about it as an endpoint and as a workload.
#ifndef WEFT_CONTROL_PLANE_COMPILE_POD_H_
#define WEFT_CONTROL_PLANE_COMPILE_POD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/spiffe_id.h"
#include "k8s/core.pb.h"

namespace weft::compile {

// The name of the container that makes a pod a member of the mesh.
inline constexpr std::string_view kSidecarContainer = "weft-sidecar";

// Whether the pod has a sidecar, as a container or as an init container (Kubernetes' native
// sidecars).
bool IsMeshed(const k8s::Pod& pod);

// Whether the pod has finished for good; its addresses may belong to another pod by now.
bool IsFinished(const k8s::Pod& pod);

// Whether the pod serves: it runs and no condition says that it is not ready.
bool IsReady(const k8s::Pod& pod);

// Whether the pod is on its way out.
bool IsTerminating(const k8s::Pod& pod);

// The pod's addresses in canonical form, its main one first. Malformed ones are left out.
std::vector<std::string> AddressesOf(const k8s::Pod& pod);

// The name of what made the pod: the Deployment behind a ReplicaSet, else the controller, else the
// pod.
std::string WorkloadName(const k8s::Pod& pod);

// The service account, "default" if none is named.
std::string ServiceAccountOf(const k8s::Pod& pod);

SpiffeId IdentityOf(const k8s::Pod& pod, std::string_view trust_domain);

// The number of the TCP container port with that name.
std::optional<uint32_t> NamedPort(const k8s::Pod& pod, std::string_view name);

// The pod port that a service port leads to: a number, or the name of a container port (which may
// differ from pod to pod); nullopt if the pod has no port of that name.
std::optional<uint32_t> TargetPort(const k8s::Pod& pod, const k8s::ServicePort& port);

// Services and pods often declare UDP beside TCP; the mesh carries TCP.
inline bool IsTcp(std::string_view protocol) { return protocol.empty() || protocol == "TCP"; }

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_POD_H_
