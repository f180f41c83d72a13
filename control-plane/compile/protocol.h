// Which protocol a port speaks, from what its declaration says.
#ifndef WEFT_CONTROL_PLANE_COMPILE_PROTOCOL_H_
#define WEFT_CONTROL_PLANE_COMPILE_PROTOCOL_H_

#include <optional>
#include <string_view>

#include "k8s/core.pb.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// By Kubernetes' appProtocol: the names of protocols ("http", "grpc") and Kubernetes' own
// ("kubernetes.io/h2c", KEP-3726). nullopt for names we do not know.
std::optional<weft::v1::Protocol> FromAppProtocol(std::string_view app_protocol);

// By the port's name, whose part before the first '-' may be a protocol: "http-admin", "grpc".
std::optional<weft::v1::Protocol> FromPortName(std::string_view name);

// The protocol of a service port: appProtocol, else its name, else port 80 is HTTP, else DETECT. An
// appProtocol that we do not know decides nothing.
weft::v1::Protocol ProtocolOf(const k8s::ServicePort& port);

// The protocol of a container port, by name, else 80 is HTTP, else DETECT.
weft::v1::Protocol ProtocolOf(const k8s::ContainerPort& port);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_PROTOCOL_H_
