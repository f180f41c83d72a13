#include "tools/meshctl/lists.h"

#include <algorithm>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "base/version.h"
#include "tools/meshctl/answers.pb.h"
#include "tools/meshctl/control_plane.h"
#include "tools/meshctl/findings.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

using Stub = v1::InspectService::Stub;

void PrintTableOr(const Table& table, std::string_view nothing) {
  if (table.empty()) {
    std::cerr << nothing << "\n";
  } else {
    std::cout << table.ToString();
  }
}

std::string SinceNow(const google::protobuf::Timestamp& time) {
  return Age(absl::Now() - ToTime(time));
}

std::string PortText(const v1::ServiceSummary::ServicePort& port) {
  return absl::StrCat(port.port(), "/", ProtocolName(port.protocol()));
}

// "2/2": meshed of ready, of the port that has the most.
std::string EndpointsText(const v1::ServiceSummary& service) {
  uint32_t ready = 0;
  uint32_t meshed = 0;
  for (const auto& port : service.ports()) {
    ready = std::max(ready, port.ready_endpoints());
    meshed = std::max(meshed, port.meshed_endpoints());
  }
  return absl::StrCat(meshed, "/", ready);
}

uint32_t SubscribedOf(const v1::Proxy& proxy) {
  uint32_t subscribed = 0;
  for (const v1::TypeState& type : proxy.types()) subscribed += type.subscribed();
  return subscribed;
}

std::string StateOf(const v1::Proxy& proxy) {
  for (const v1::TypeState& type : proxy.types()) {
    if (!type.nack().empty()) return Paint(Colour::kRed, "REFUSED");
  }
  return proxy.in_sync() ? Paint(Colour::kGreen, "SYNCED") : Paint(Colour::kYellow, "PENDING");
}

std::string SummaryOf(const v1::ConfigResource& resource) {
  switch (resource.resource_case()) {
    case v1::ConfigResource::kWorkload:
      return absl::StrCat(resource.workload().spiffe_id(), ", mTLS ",
                          MtlsModeName(resource.workload().mtls_mode()));
    case v1::ConfigResource::kDestination: {
      const v1::Destination& destination = resource.destination();
      return absl::StrCat(destination.service().empty() ? "a pod" : destination.service(), ", ",
                          ProtocolName(destination.protocol()), ", ", destination.rules_size(),
                          destination.rules_size() == 1 ? " rule" : " rules",
                          destination.split().empty() ? "" : ", split ", destination.split());
    }
    case v1::ConfigResource::kEndpoints: {
      const int meshed = static_cast<int>(std::ranges::count_if(
          resource.endpoints().endpoints(), [](const v1::Endpoint& e) { return e.meshed(); }));
      return absl::StrCat(resource.endpoints().endpoints_size(), " endpoints, ", meshed,
                          " with a sidecar");
    }
    case v1::ConfigResource::kTrustBundle:
      return absl::StrCat(resource.trust_bundle().roots_pem_size(), " root certificates");
    case v1::ConfigResource::kMeshSettings:
      return absl::StrCat("mTLS ", MtlsModeName(resource.mesh_settings().mtls_mode()));
    case v1::ConfigResource::RESOURCE_NOT_SET:
      break;
  }
  return "";
}

void PrintStatusTable(std::string_view name, const v1::GetStatusResponse& status) {
  const auto line = [](std::string_view what, std::string_view value) {
    std::cout << absl::StrFormat("%-16s%s\n", ToAbsl(what), ToAbsl(value));
  };
  line("Control plane", absl::StrCat(ToAbsl(name), ", version ", status.version(), ", up ",
                                     SinceNow(status.started())));
  line("Source", absl::StrCat(status.source(), status.source_synced() ? "" : " (not read yet)"));
  line("Trust domain", status.trust_domain());
  line("mTLS", MtlsModeName(status.mtls_mode()));
  line("Root valid",
       absl::StrCat("until ", absl::FormatTime("%Y-%m-%d", ToTime(status.root_not_after()),
                                               absl::UTCTimeZone())));
  line("Sidecars", absl::StrCat(status.connected_proxies(), " connected"));
  line("Services", absl::StrCat(status.services(), " with ", status.endpoints(), " endpoints"));
  line("Splits", absl::StrCat(status.splits()));
  if (status.findings().empty()) {
    line("Findings", Paint(Colour::kGreen, "none"));
    return;
  }
  line("Findings", absl::StrCat(status.findings_size()));
  std::cout << "\n" << FindingsText(status.findings(), 0);
}

}  // namespace

absl::StatusOr<std::string> QualifiedWorkload(const Options& options, const std::string& workload,
                                              const std::string& what) {
  if (absl::StrContains(workload, "/")) return workload;
  if (options.name_space.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " \"", workload,
                                                   "\" needs a namespace: write NAMESPACE/",
                                                   workload, " or give -n NAMESPACE"));
  }
  return absl::StrCat(options.name_space, "/", workload);
}

absl::Status PrintVersion(const Options& options, bool client_only) {
  Versions versions;
  versions.set_meshctl(std::string(kVersion));
  if (!client_only) {
    const absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
    const absl::StatusOr<v1::GetStatusResponse> status =
        control_plane.ok() ? control_plane->Call(&Stub::GetStatus, v1::GetStatusRequest())
                           : control_plane.status();
    if (status.ok()) {
      versions.set_control_plane(status->version());
    } else {
      versions.set_unreached(std::string(status.status().message()));
    }
  }
  if (options.format != Format::kTable) return PrintMessage(versions, options.format);
  std::cout << "meshctl        " << versions.meshctl() << "\n";
  if (!versions.control_plane().empty()) {
    std::cout << "control plane  " << versions.control_plane() << "\n";
  } else if (!client_only) {
    std::cout << "control plane  not asked: " << versions.unreached() << "\n";
  }
  return absl::OkStatus();
}

absl::Status PrintStatus(const Options& options) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  const absl::StatusOr<v1::GetStatusResponse> status =
      control_plane->Call(&Stub::GetStatus, v1::GetStatusRequest());
  if (!status.ok()) return status.status();
  if (options.format != Format::kTable) return PrintMessage(*status, options.format);
  PrintStatusTable(control_plane->name(), *status);
  return absl::OkStatus();
}

absl::Status PrintProxies(const Options& options) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  v1::ListProxiesRequest request;
  request.set_namespace_(options.ListNamespace());
  const absl::StatusOr<v1::ListProxiesResponse> response =
      control_plane->Call(&Stub::ListProxies, request);
  if (!response.ok()) return response.status();
  if (options.format != Format::kTable) return PrintMessage(*response, options.format);
  Table table({"PROXY", "AGE", "VERSION", "SUBSCRIBED", "IDENTITY", "STATE"});
  std::string refusals;
  for (const v1::Proxy& proxy : response->proxies()) {
    table.Add({proxy.id(), SinceNow(proxy.connected()), proxy.version(),
               absl::StrCat(SubscribedOf(proxy)), proxy.spiffe_id(), StateOf(proxy)});
    for (const v1::TypeState& type : proxy.types()) {
      if (type.nack().empty()) continue;
      absl::StrAppend(&refusals, proxy.id(), " refused ", type.type(), ": ", type.nack(), "\n");
    }
  }
  PrintTableOr(table, "No sidecars are connected.");
  if (!refusals.empty()) std::cout << "\n" << refusals;
  return absl::OkStatus();
}

absl::Status PrintServices(const Options& options) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  v1::ListServicesRequest request;
  request.set_namespace_(options.ListNamespace());
  const absl::StatusOr<v1::ListServicesResponse> response =
      control_plane->Call(&Stub::ListServices, request);
  if (!response.ok()) return response.status();
  if (options.format != Format::kTable) return PrintMessage(*response, options.format);
  Table table({"NAMESPACE", "NAME", "CLUSTER-IP", "PORTS", "MESHED/READY", "SPLIT"});
  for (const v1::ServiceSummary& service : response->services()) {
    std::vector<std::string> ports;
    for (const auto& port : service.ports()) ports.push_back(PortText(port));
    table.Add({service.namespace_(), service.name(), absl::StrJoin(service.cluster_ips(), ","),
               absl::StrJoin(ports, ","), EndpointsText(service), service.split()});
  }
  PrintTableOr(table, "No services found.");
  return absl::OkStatus();
}

absl::Status PrintSplits(const Options& options) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  v1::ListSplitsRequest request;
  request.set_namespace_(options.ListNamespace());
  const absl::StatusOr<v1::ListSplitsResponse> response =
      control_plane->Call(&Stub::ListSplits, request);
  if (!response.ok()) return response.status();
  if (options.format != Format::kTable) return PrintMessage(*response, options.format);
  Table table(
      {"NAMESPACE", "NAME", "ROOT", "BACKEND", "WEIGHT", "SHARE", "READY", "MATCHES", "STATE"});
  std::string findings;
  for (const v1::Split& split : response->splits()) {
    const std::string matches =
        split.matches().empty() ? "every request" : absl::StrJoin(split.matches(), ",");
    const std::string state =
        split.accepted() ? Paint(Colour::kGreen, "ACTIVE") : Paint(Colour::kRed, "REFUSED");
    if (split.backends().empty()) {
      table.Add(
          {split.namespace_(), split.name(), split.root_service(), "", "", "", "", matches, state});
    }
    for (const v1::Split::Backend& backend : split.backends()) {
      table.Add({split.namespace_(), split.name(), split.root_service(), backend.service(),
                 absl::StrCat(backend.weight()), absl::StrFormat("%.1f%%", backend.share_percent()),
                 absl::StrCat(backend.ready_endpoints()), matches, state});
    }
    findings += FindingsText(split.findings(), 0);
  }
  PrintTableOr(table, "No traffic splits found.");
  if (!findings.empty()) std::cout << "\n" << findings;
  return absl::OkStatus();
}

absl::Status PrintConfig(const Options& options, const std::string& workload,
                         const std::string& type) {
  absl::StatusOr<std::string> id = QualifiedWorkload(options, workload, "proxy");
  if (!id.ok()) return id.status();
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  v1::GetProxyConfigRequest request;
  request.set_id(*id);
  absl::StatusOr<v1::GetProxyConfigResponse> response =
      control_plane->Call(&Stub::GetProxyConfig, request);
  if (!response.ok()) return response.status();
  if (!type.empty()) {
    auto* resources = response->mutable_resources();
    resources->erase(std::remove_if(resources->begin(), resources->end(),
                                    [&](const v1::ConfigResource& resource) {
                                      return !absl::EqualsIgnoreCase(resource.type(), type);
                                    }),
                     resources->end());
  }
  if (options.format != Format::kTable) return PrintMessage(*response, options.format);
  Table table({"TYPE", "NAME", "CONTENT", "VERSION"});
  for (const v1::ConfigResource& resource : response->resources()) {
    table.Add(
        {resource.type(), resource.name(), SummaryOf(resource), resource.version().substr(0, 12)});
  }
  PrintTableOr(table, "No resources were sent.");
  return absl::OkStatus();
}

}  // namespace weft::meshctl
