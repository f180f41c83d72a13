#include "control-plane/compile/service.h"

#include "absl/strings/str_cat.h"
#include "control-plane/compile/endpoints.h"
#include "control-plane/compile/options.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/protocol.h"

namespace weft::compile {

const k8s::ServicePort* FindPort(const k8s::Service& service, uint32_t port) {
  for (const k8s::ServicePort& candidate : service.spec().ports()) {
    if (candidate.port() > 0 && static_cast<uint32_t>(candidate.port()) == port &&
        IsTcp(candidate.protocol())) {
      return &candidate;
    }
  }
  return nullptr;
}

const k8s::ServicePort* CorrespondingPort(const k8s::Service& backend,
                                          const k8s::ServicePort& root_port) {
  if (const auto* port = FindPort(backend, static_cast<uint32_t>(root_port.port()))) return port;
  if (root_port.name().empty()) return nullptr;
  for (const k8s::ServicePort& candidate : backend.spec().ports()) {
    if (candidate.name() == root_port.name() && IsTcp(candidate.protocol())) return &candidate;
  }
  return nullptr;
}

bool IsHeadless(const k8s::Service& service) { return service.spec().cluster_ip() == "None"; }

std::string EndpointsName(const k8s::Service& service, const k8s::ServicePort& port) {
  return absl::StrCat(Qualified(service.metadata()), ":", port.port());
}

weft::v1::Protocol EffectiveProtocol(const View& view, const k8s::Service& service,
                                     const k8s::ServicePort& port) {
  FindingSink ignored;  // reported with the pods
  const weft::v1::Endpoints found = EndpointsOf(view, service, port);
  for (const weft::v1::Endpoint& endpoint : found.endpoints()) {
    if (endpoint.pod().empty()) continue;
    const k8s::Pod* pod = view.Pod(endpoint.namespace_(), endpoint.pod());
    if (pod != nullptr && OpaquePortsOf(pod->metadata(), "", ignored).Contains(endpoint.port())) {
      return weft::v1::PROTOCOL_TCP;
    }
  }
  return ProtocolOf(port);
}

}  // namespace weft::compile
