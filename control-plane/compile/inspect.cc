#include "control-plane/compile/inspect.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/check.h"
#include "control-plane/compile/endpoints.h"
#include "control-plane/compile/findings.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/split.h"

namespace weft::compile {
namespace {

uint32_t ReadyIn(const weft::v1::Endpoints& endpoints) {
  return static_cast<uint32_t>(std::ranges::count(endpoints.endpoints(), weft::v1::HEALTH_READY,
                                                  &weft::v1::Endpoint::health));
}

// The most ready endpoints that one of the service's ports has.
uint32_t ReadyBehind(const View& view, const k8s::Service& service) {
  uint32_t ready = 0;
  for (const k8s::ServicePort& port : service.spec().ports()) {
    if (IsTcp(port.protocol())) {
      ready = std::max(ready, ReadyIn(EndpointsOf(view, service, port)));
    }
  }
  return ready;
}

weft::v1::ServiceSummary Summarize(const View& view, const k8s::Service& service) {
  weft::v1::ServiceSummary summary;
  summary.set_namespace_(service.metadata().namespace_());
  summary.set_name(service.metadata().name());
  for (const std::string& ip : ClusterIps(service)) summary.add_cluster_ips(ip);
  for (const k8s::ServicePort& source : service.spec().ports()) {
    if (!IsTcp(source.protocol())) continue;
    const weft::v1::Endpoints endpoints = EndpointsOf(view, service, source);
    weft::v1::ServiceSummary::ServicePort& port = *summary.add_ports();
    port.set_port(static_cast<uint32_t>(source.port()));
    port.set_name(source.name());
    port.set_protocol(EffectiveProtocol(view, service, source));
    port.set_ready_endpoints(ReadyIn(endpoints));
    port.set_meshed_endpoints(
        static_cast<uint32_t>(std::ranges::count_if(endpoints.endpoints(), [](const auto& e) {
          return e.meshed() && e.health() == weft::v1::HEALTH_READY;
        })));
  }
  FindingSink ignored;
  std::optional<SplitPlan> split =
      SplitInForce(view, service.metadata().namespace_(), service.metadata().name(), ignored);
  if (split) summary.set_split(Qualified(split->split->metadata()));
  return summary;
}

weft::v1::Split Summarize(const View& view, const k8s::TrafficSplit& split) {
  weft::v1::Split summary;
  summary.set_namespace_(split.metadata().namespace_());
  summary.set_name(split.metadata().name());
  summary.set_root_service(split.spec().service());
  for (const k8s::TrafficSplitMatch& match : split.spec().matches()) {
    summary.add_matches(match.name());
  }
  FindingSink findings;
  CheckSplit(view, split, findings);
  for (weft::v1::Finding& finding : findings.Take()) *summary.add_findings() = std::move(finding);

  FindingSink reported_above;
  std::optional<SplitPlan> plan = PlanSplit(view, split, reported_above);
  if (!plan) {
    for (const auto& backend : split.spec().backends()) {
      summary.add_backends()->set_service(backend.service());
    }
    return summary;
  }
  std::optional<SplitPlan> in_force =
      SplitInForce(view, split.metadata().namespace_(), plan->root, reported_above);
  summary.set_root_service(plan->root);
  summary.set_accepted(in_force && in_force->split == &split);
  double sum = 0;
  for (const SplitPlan::Backend& backend : plan->backends) {
    sum += static_cast<double>(backend.weight);
  }
  for (const SplitPlan::Backend& source : plan->backends) {
    weft::v1::Split::Backend& backend = *summary.add_backends();
    backend.set_service(source.service.empty() ? source.reference : source.service);
    backend.set_weight(source.weight);
    if (sum > 0) backend.set_share_percent(100 * static_cast<double>(source.weight) / sum);
    const k8s::Service* service = source.service.empty()
                                      ? nullptr
                                      : view.Service(split.metadata().namespace_(), source.service);
    if (service != nullptr) backend.set_ready_endpoints(ReadyBehind(view, *service));
  }
  return summary;
}

}  // namespace

weft::v1::ListServicesResponse ListServices(const Index& index, const View& view,
                                            std::string_view name_space) {
  weft::v1::ListServicesResponse response;
  index.store().ForEach<k8s::Service>(name_space, [&](const k8s::Service& service) {
    *response.add_services() = Summarize(view, service);
  });
  return response;
}

weft::v1::ListSplitsResponse ListSplits(const Index& index, const View& view,
                                        std::string_view name_space) {
  weft::v1::ListSplitsResponse response;
  index.store().ForEach<k8s::TrafficSplit>(name_space, [&](const k8s::TrafficSplit& split) {
    *response.add_splits() = Summarize(view, split);
  });
  return response;
}

uint32_t CountEndpoints(const Index& index, const View& view) {
  uint32_t count = 0;
  index.store().ForEach<k8s::Service>(
      "", [&](const k8s::Service& service) { count += ReadyBehind(view, service); });
  return count;
}

}  // namespace weft::compile
