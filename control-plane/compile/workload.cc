#include "control-plane/compile/workload.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/options.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/protocol.h"
#include "control-plane/compile/settings.h"

namespace weft::compile {
namespace {

using weft::v1::InboundPort;

// Takes what a service says about a port of the pod.
void TakeServicePort(const k8s::Service& service, weft::v1::Protocol protocol, uint32_t number,
                     const std::string& object, std::map<uint32_t, InboundPort>& ports,
                     FindingSink& findings) {
  InboundPort& port = ports[number];
  if (port.service().empty()) {
    port.set_service(Qualified(service.metadata()));
    port.set_protocol(protocol);
    return;
  }
  if (port.protocol() == protocol) return;
  findings.Warning({.object = object,
                    .field = absl::StrCat("port ", number),
                    .reason = "ProtocolConflict",
                    .message = absl::StrCat("the services ", port.service(), " and ",
                                            Qualified(service.metadata()),
                                            " declare different protocols for it; it is detected"),
                    .remedy = "give both service ports the same appProtocol"});
  port.set_protocol(weft::v1::PROTOCOL_DETECT);
}

}  // namespace

std::map<uint32_t, InboundPort> InboundPortsOf(const View& view, const k8s::Pod& pod,
                                               FindingSink& findings) {
  const std::string object = absl::StrCat("Pod ", Qualified(pod.metadata()));
  std::map<uint32_t, InboundPort> ports;
  for (const k8s::Service* service : view.ServicesOf(pod)) {
    for (const k8s::ServicePort& service_port : service->spec().ports()) {
      if (!IsTcp(service_port.protocol())) continue;
      std::optional<uint32_t> number = TargetPort(pod, service_port);
      if (!number) continue;
      TakeServicePort(*service, ProtocolOf(service_port), *number, object, ports, findings);
    }
  }
  for (const k8s::Container& container : pod.spec().containers()) {
    if (container.name() == ToAbsl(kSidecarContainer)) continue;
    for (const k8s::ContainerPort& port : container.ports()) {
      if (!IsTcp(port.protocol()) || port.container_port() < 1 || port.container_port() > 65535) {
        continue;
      }
      auto [it, added] = ports.try_emplace(static_cast<uint32_t>(port.container_port()));
      if (added) it->second.set_protocol(ProtocolOf(port));
    }
  }
  const PortSet opaque = OpaquePortsOf(pod.metadata(), object, findings);
  for (uint32_t number : opaque.Ports(kMaxOpaquePorts)) {
    ports[number].set_protocol(weft::v1::PROTOCOL_TCP);
  }
  const uint64_t max_body = ClientMaxBodyBytesOf(pod.metadata(), object, findings);
  for (auto& [number, port] : ports) {
    port.set_port(number);
    port.set_client_max_body_bytes(max_body);
  }
  return ports;
}

std::optional<weft::v1::Workload> CompileWorkload(const View& view, std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const k8s::Pod* pod = view.Pod(name.substr(0, slash), name.substr(slash + 1));
  if (pod == nullptr) return std::nullopt;
  FindingSink ignored;  // the compiler collects findings by itself
  weft::v1::Workload workload;
  workload.set_namespace_(pod->metadata().namespace_());
  workload.set_pod(pod->metadata().name());
  workload.set_workload(WorkloadName(*pod));
  workload.set_service_account(ServiceAccountOf(*pod));
  workload.set_spiffe_id(IdentityOf(*pod, view.trust_domain()).ToString());
  for (std::string& address : AddressesOf(*pod)) workload.add_addresses(std::move(address));
  workload.set_mtls_mode(
      TightenedMtlsMode(CompileSettings(view, ignored).mtls_mode(), pod->metadata(), "", ignored));
  for (auto& [number, port] : InboundPortsOf(view, *pod, ignored)) {
    *workload.add_inbound_ports() = std::move(port);
  }
  return workload;
}

}  // namespace weft::compile
