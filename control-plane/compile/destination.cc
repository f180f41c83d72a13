#include "control-plane/compile/destination.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/address.h"
#include "control-plane/compile/findings.h"
#include "control-plane/compile/options.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/settings.h"
#include "control-plane/compile/split.h"
#include "control-plane/compile/workload.h"

namespace weft::compile {
namespace {

using weft::v1::Destination;

std::optional<Destination> OfService(const View& view, const k8s::Service& service,
                                     uint32_t number) {
  const k8s::ServicePort* port = FindPort(service, number);
  if (port == nullptr) return std::nullopt;
  FindingSink ignored;  // the compiler collects findings by itself
  Destination destination;
  destination.set_protocol(EffectiveProtocol(view, service, *port));
  destination.set_service(Qualified(service.metadata()));
  destination.set_service_port(number);
  destination.set_lb_method(LbMethodOf(service.metadata(), "", ignored));
  if (destination.lb_method() == weft::v1::LB_METHOD_UNSPECIFIED) {
    destination.set_lb_method(CompileSettings(view, ignored).lb_method());
  }
  std::optional<SplitPlan> plan =
      SplitInForce(view, service.metadata().namespace_(), service.metadata().name(), ignored);
  if (!plan) {
    *destination.add_rules() = OwnEndpoints(service, *port);
    return destination;
  }
  destination.set_split(Qualified(plan->split->metadata()));
  for (weft::v1::Rule& rule : RulesOf(view, *plan, service, *port, destination.protocol())) {
    *destination.add_rules() = std::move(rule);
  }
  return destination;
}

// A pod dialled by its own address (headless services, StatefulSets): no split applies.
Destination OfPod(const View& view, const k8s::Pod& pod, uint32_t number) {
  FindingSink ignored;
  Destination destination;
  const auto ports = InboundPortsOf(view, pod, ignored);
  if (auto port = ports.find(number); port != ports.end()) {
    destination.set_protocol(port->second.protocol());
  }
  destination.set_lb_method(CompileSettings(view, ignored).lb_method());
  weft::v1::WeightedBackend& backend = *destination.add_rules()->add_backends();
  backend.set_endpoints(absl::StrCat(Qualified(pod.metadata()), ".pod:", number));
  backend.set_weight(1);
  return destination;
}

}  // namespace

std::optional<Destination> CompileDestination(const View& view, std::string_view name) {
  const std::optional<SocketAddress> address = ParseSocketAddress(name);
  if (!address) return std::nullopt;
  if (const k8s::Service* service = view.ServiceAt(address->ip)) {
    return OfService(view, *service, address->port);
  }
  if (const k8s::Pod* pod = view.PodAt(address->ip)) {
    view.Pod(pod->metadata().namespace_(), pod->metadata().name());  // its labels and ports count
    return OfPod(view, *pod, address->port);
  }
  return std::nullopt;
}

}  // namespace weft::compile
