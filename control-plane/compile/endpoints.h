// The live addresses behind services and pods.
#ifndef WEFT_CONTROL_PLANE_COMPILE_ENDPOINTS_H_
#define WEFT_CONTROL_PLANE_COMPILE_ENDPOINTS_H_

#include <optional>
#include <string_view>

#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// The Endpoints resource "namespace/service:port" or "namespace/pod.pod:port"; nullopt if there is
// no such service, port or pod, or the name is malformed.
std::optional<weft::v1::Endpoints> CompileEndpoints(const View& view, std::string_view name);

// The endpoints of a service's port: of its EndpointSlices, else of its Endpoints object, else
// (manifests without a cluster's controllers) of the pods that it selects. Ready and draining ones,
// sorted by address. A dual-stack pod counts once, in the family of the service's main address.
weft::v1::Endpoints EndpointsOf(const View& view, const k8s::Service& service,
                                const k8s::ServicePort& port);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_ENDPOINTS_H_
