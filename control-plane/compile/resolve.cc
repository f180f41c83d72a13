// From a host and port, as a workload writes them, to what decides about the connection.
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "control-plane/compile/address.h"
#include "control-plane/compile/check.h"
#include "control-plane/compile/destination.h"
#include "control-plane/compile/endpoints.h"
#include "control-plane/compile/findings.h"
#include "control-plane/compile/inspect.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/route_group.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/split.h"

namespace weft::compile {
namespace {

// The service a host name means to a workload in `name_space`, as cluster DNS resolves it: "tea",
// "tea.shop", "tea.shop.svc", "tea.shop.svc.cluster.local". Names of services may have dots.
const k8s::Service* ServiceNamed(const View& view, std::string_view host,
                                 std::string_view name_space) {
  std::string lower = absl::AsciiStrToLower(ToAbsl(host));
  absl::string_view name = lower;
  absl::ConsumeSuffix(&name, ".");
  const bool full =
      absl::ConsumeSuffix(&name, absl::StrCat(".svc.", ToAbsl(view.cluster_domain()))) ||
      absl::ConsumeSuffix(&name, ".svc");
  if (!full) {
    if (const k8s::Service* service = view.Service(name_space, ToStd(name))) return service;
  }
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos) return nullptr;
  return view.Service(ToStd(name.substr(dot + 1)), ToStd(name.substr(0, dot)));
}

// The address that a connection to the service would be dialled at.
absl::StatusOr<SocketAddress> DialledAddress(const View& view, const k8s::Service& service,
                                             uint32_t number) {
  const std::string object = absl::StrCat("Service ", Qualified(service.metadata()));
  if (IsHeadless(service)) {
    // Cluster DNS answers with the pods' addresses, and the port that is dialled is the pod's.
    for (const k8s::ServicePort& port : service.spec().ports()) {
      if (!IsTcp(port.protocol())) continue;
      const weft::v1::Endpoints found = EndpointsOf(view, service, port);
      if (found.endpoints_size() > 0) return SocketAddress{found.endpoints(0).address(), number};
    }
    return absl::NotFoundError(absl::StrCat(object, " is headless and has no ready endpoint"));
  }
  const std::vector<std::string> ips = ClusterIps(service);
  if (ips.empty()) return absl::NotFoundError(absl::StrCat(object, " has no cluster IP"));
  if (FindPort(service, number) == nullptr) {
    std::vector<int> ports;
    for (const k8s::ServicePort& port : service.spec().ports()) {
      if (IsTcp(port.protocol())) ports.push_back(port.port());
    }
    return absl::NotFoundError(absl::StrCat(object, " has no port ", number, "; it has ",
                                            ports.empty() ? "none" : absl::StrJoin(ports, ", ")));
  }
  return SocketAddress{ips.front(), number};
}

// The mistakes in the service's splits and in the route groups that they name.
void FindMistakes(const View& view, const k8s::Service& service, FindingSink& findings) {
  const std::string& name_space = service.metadata().namespace_();
  for (const k8s::TrafficSplit* split : view.SplitsOf(name_space, service.metadata().name())) {
    CheckSplit(view, *split, findings);
    for (const k8s::TrafficSplitMatch& match : split->spec().matches()) {
      const k8s::HttpRouteGroup* group = view.RouteGroup(name_space, match.name());
      if (match.kind() != "TCPRoute" && group != nullptr) MatchesOf(*group, findings);
    }
  }
}

}  // namespace

absl::StatusOr<weft::v1::ResolveRouteResponse> ResolveRoute(
    const View& view, const weft::v1::ResolveRouteRequest& request) {
  if (request.host().empty()) return absl::InvalidArgumentError("host: must not be empty");
  if (request.port() < 1 || request.port() > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("port: ", request.port(), " is no port; expected 1 to 65535"));
  }
  const std::string_view source = request.source_workload();
  const std::string_view name_space = source.substr(0, source.find('/'));

  std::string_view host = request.host();
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  SocketAddress address{"", request.port()};
  const k8s::Service* service = nullptr;
  if (std::optional<std::string> ip = CanonicalIp(host)) {
    address.ip = *std::move(ip);
    service = view.ServiceAt(address.ip);
  } else {
    service = ServiceNamed(view, host, name_space);
    if (service == nullptr) return weft::v1::ResolveRouteResponse();  // outside of the mesh
    absl::StatusOr<SocketAddress> dialled = DialledAddress(view, *service, request.port());
    if (!dialled.ok()) return dialled.status();
    address = *std::move(dialled);
  }

  weft::v1::ResolveRouteResponse response;
  std::optional<weft::v1::Destination> destination = CompileDestination(view, address.ToString());
  if (!destination) return response;
  response.set_destination_name(address.ToString());
  for (const weft::v1::Rule& rule : destination->rules()) {
    for (const weft::v1::WeightedBackend& backend : rule.backends()) {
      if (backend.endpoints().empty()) continue;
      if (auto endpoints = CompileEndpoints(view, backend.endpoints())) {
        (*response.mutable_endpoints())[backend.endpoints()] = *std::move(endpoints);
      }
    }
  }
  *response.mutable_destination() = *std::move(destination);
  if (service != nullptr) {
    FindingSink findings;
    FindMistakes(view, *service, findings);
    for (weft::v1::Finding& finding : findings.Take())
      *response.add_findings() = std::move(finding);
  }
  return response;
}

}  // namespace weft::compile
