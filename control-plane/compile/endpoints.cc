#include "control-plane/compile/endpoints.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/address.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/service.h"

namespace weft::compile {
namespace {

using weft::v1::Endpoint;
using weft::v1::Health;

constexpr std::string_view kPodSuffix = ".pod";

void Describe(const View& view, const k8s::Pod& pod, Endpoint& endpoint) {
  endpoint.set_meshed(IsMeshed(pod));
  if (endpoint.meshed()) {
    endpoint.set_spiffe_id(IdentityOf(pod, view.trust_domain()).ToString());
  }
  endpoint.set_workload(WorkloadName(pod));
  endpoint.set_namespace_(pod.metadata().namespace_());
  endpoint.set_pod(pod.metadata().name());
  auto zone = pod.metadata().labels().find("topology.kubernetes.io/zone");
  if (zone != pod.metadata().labels().end()) endpoint.set_zone(zone->second);
}

// Collects the endpoints of one port of one service.
class Collector {
 public:
  Collector(const View& view, const k8s::Service& service, const k8s::ServicePort& port)
      : view_(view), service_(service), port_(port) {}

  weft::v1::Endpoints Collect() {
    const std::vector<const k8s::EndpointSlice*> slices = view_.SlicesOf(service_);
    if (!slices.empty()) {
      for (const k8s::EndpointSlice* slice : slices) TakeSlice(*slice);
    } else if (const k8s::Endpoints* endpoints = view_.EndpointsOf(service_)) {
      for (const k8s::EndpointSubset& subset : endpoints->subsets()) TakeSubset(subset);
    } else {
      for (const k8s::Pod* pod : view_.PodsOf(service_)) TakePod(*pod);
    }
    return Finish();
  }

 private:
  void TakeSlice(const k8s::EndpointSlice& slice) {
    if (slice.address_type() == "FQDN") return;
    for (const k8s::SlicePort& port : slice.ports()) {
      if (port.name() != port_.name() || !IsTcp(port.protocol()) || port.port() < 1) continue;
      for (const k8s::SliceEndpoint& source : slice.endpoints()) {
        std::optional<Health> health = HealthOf(source.conditions());
        // "All addresses are of one endpoint and the consumer uses the first" (EndpointSlice API).
        if (!health || source.addresses().empty()) continue;
        Add(source.addresses(0), port.port(), *health, source.target_ref(), source.zone());
      }
    }
  }

  static std::optional<Health> HealthOf(const k8s::SliceConditions& conditions) {
    const bool ready = conditions.has_ready() ? conditions.ready() : true;
    const bool serving = conditions.has_serving() ? conditions.serving() : ready;
    if (ready) return weft::v1::HEALTH_READY;
    if (serving && conditions.terminating()) return weft::v1::HEALTH_DRAINING;
    return std::nullopt;
  }

  void TakeSubset(const k8s::EndpointSubset& subset) {
    for (const k8s::EndpointPort& port : subset.ports()) {
      if (port.name() != port_.name() || !IsTcp(port.protocol()) || port.port() < 1) continue;
      for (const k8s::EndpointAddress& address : subset.addresses()) {
        Add(address.ip(), port.port(), weft::v1::HEALTH_READY, address.target_ref(), "");
      }
    }
  }

  void TakePod(const k8s::Pod& pod) {
    std::optional<uint32_t> port = TargetPort(pod, port_);
    if (!port || IsFinished(pod)) return;
    Health health = weft::v1::HEALTH_READY;
    if (!service_.spec().publish_not_ready_addresses()) {
      if (!IsReady(pod)) return;
      if (IsTerminating(pod)) health = weft::v1::HEALTH_DRAINING;
    }
    for (const std::string& ip : AddressesOf(pod)) {
      Endpoint& endpoint = found_.emplace_back();
      endpoint.set_address(ip);
      endpoint.set_port(*port);
      endpoint.set_health(health);
      Describe(view_, pod, endpoint);
    }
  }

  void Add(std::string_view address, int port, Health health, const k8s::ObjectReference& target,
           const std::string& zone) {
    std::optional<std::string> ip = CanonicalIp(address);
    if (!ip) return;
    Endpoint endpoint;
    endpoint.set_address(*ip);
    endpoint.set_port(static_cast<uint32_t>(port));
    endpoint.set_health(health);
    const k8s::Pod* pod = nullptr;
    if (target.kind() == "Pod" && !target.name().empty()) {
      // Named here too, in case the slice is known before its pod.
      endpoint.set_namespace_(target.namespace_().empty() ? service_.metadata().namespace_()
                                                          : target.namespace_());
      endpoint.set_pod(target.name());
      pod = view_.Pod(endpoint.namespace_(), endpoint.pod());
      if (pod == nullptr && view_.awaits_pods()) return;
    } else {
      pod = view_.PodAt(*ip);
    }
    if (pod != nullptr) Describe(view_, *pod, endpoint);
    if (!zone.empty()) endpoint.set_zone(zone);
    found_.push_back(std::move(endpoint));
  }

  weft::v1::Endpoints Finish() {
    DropSecondFamily();
    auto order = [](const Endpoint& e) {
      return std::make_tuple(std::string_view(e.address()), e.port(), e.health());
    };
    std::ranges::sort(found_, {}, order);
    // One address may be in two slices while it moves; ready sorts first and stays.
    auto duplicates = std::ranges::unique(found_, [](const Endpoint& a, const Endpoint& b) {
      return a.address() == b.address() && a.port() == b.port();
    });
    found_.erase(duplicates.begin(), duplicates.end());
    weft::v1::Endpoints endpoints;
    for (Endpoint& endpoint : found_) *endpoints.add_endpoints() = std::move(endpoint);
    return endpoints;
  }

  // Otherwise a dual-stack pod would get twice the traffic of a single-stack one.
  void DropSecondFamily() {
    const std::vector<std::string> cluster_ips = ClusterIps(service_);
    const bool prefer_ipv6 = !cluster_ips.empty() && IsIpv6(cluster_ips.front());
    auto preferred = [&](const Endpoint& e) { return IsIpv6(e.address()) == prefer_ipv6; };
    absl::flat_hash_set<std::string> pods;
    for (const Endpoint& e : found_) {
      if (!e.pod().empty() && preferred(e)) pods.insert(Qualified(e.namespace_(), e.pod()));
    }
    std::erase_if(found_, [&](const Endpoint& e) {
      return !e.pod().empty() && !preferred(e) && pods.contains(Qualified(e.namespace_(), e.pod()));
    });
  }

  const View& view_;
  const k8s::Service& service_;
  const k8s::ServicePort& port_;
  std::vector<Endpoint> found_;
};

// A pod dialled by its own address: the caller has chosen it, ready or not.
std::optional<weft::v1::Endpoints> EndpointsOfPod(const View& view, std::string_view name_space,
                                                  std::string_view name, uint32_t port) {
  const k8s::Pod* pod = view.Pod(name_space, name);
  if (pod == nullptr || IsFinished(*pod)) return std::nullopt;
  const std::vector<std::string> addresses = AddressesOf(*pod);
  if (addresses.empty()) return std::nullopt;
  weft::v1::Endpoints endpoints;
  Endpoint& endpoint = *endpoints.add_endpoints();
  endpoint.set_address(addresses.front());
  endpoint.set_port(port);
  Describe(view, *pod, endpoint);
  return endpoints;
}

}  // namespace

weft::v1::Endpoints EndpointsOf(const View& view, const k8s::Service& service,
                                const k8s::ServicePort& port) {
  return Collector(view, service, port).Collect();
}

std::optional<weft::v1::Endpoints> CompileEndpoints(const View& view, std::string_view name) {
  const size_t slash = name.find('/');
  const size_t colon = name.rfind(':');
  if (slash == std::string_view::npos || colon == std::string_view::npos || colon < slash) {
    return std::nullopt;
  }
  const std::string_view name_space = name.substr(0, slash);
  const std::string_view owner = name.substr(slash + 1, colon - slash - 1);
  const std::optional<uint32_t> number = ParsePort(name.substr(colon + 1));
  if (!number) return std::nullopt;
  if (owner.ends_with(kPodSuffix)) {
    return EndpointsOfPod(view, name_space, owner.substr(0, owner.size() - kPodSuffix.size()),
                          *number);
  }
  const k8s::Service* service = view.Service(name_space, owner);
  if (service == nullptr) return std::nullopt;
  const k8s::ServicePort* port = FindPort(*service, *number);
  if (port == nullptr) return std::nullopt;
  return EndpointsOf(view, *service, *port);
}

}  // namespace weft::compile
