// Ports of services.
#ifndef WEFT_CONTROL_PLANE_COMPILE_SERVICE_H_
#define WEFT_CONTROL_PLANE_COMPILE_SERVICE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// The service's TCP port of that number; nullptr if it has none.
const k8s::ServicePort* FindPort(const k8s::Service& service, uint32_t port);

// The backend's port that a root service's port corresponds to: the one of the same number, else
// the one of the same name; nullptr if there is neither.
const k8s::ServicePort* CorrespondingPort(const k8s::Service& backend,
                                          const k8s::ServicePort& root_port);

// Whether the service has no address of its own (clusterIP: None).
bool IsHeadless(const k8s::Service& service);

// The name of the Endpoints resource behind a service's port: "shop/tea:80".
std::string EndpointsName(const k8s::Service& service, const k8s::ServicePort& port);

// What the port speaks: what its declaration says, unless a pod behind it declares its port opaque.
weft::v1::Protocol EffectiveProtocol(const View& view, const k8s::Service& service,
                                     const k8s::ServicePort& port);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_SERVICE_H_
