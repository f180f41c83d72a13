#include "control-plane/compile/check.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/options.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/protocol.h"
#include "control-plane/compile/route_group.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/settings.h"
#include "control-plane/compile/workload.h"

namespace weft::compile {
namespace {

void CheckService(const Index& index, const k8s::Service& service, FindingSink& findings) {
  const std::string object = absl::StrCat("Service ", Qualified(service.metadata()));
  LbMethodOf(service.metadata(), object, findings);
  for (int i = 0; i < service.spec().ports_size(); ++i) {
    const k8s::ServicePort& port = service.spec().ports(i);
    const std::string field = absl::StrCat("spec.ports[", i, "]");
    if (port.port() < 1 || port.port() > 65535) {
      findings.Error({.object = object,
                      .field = absl::StrCat(field, ".port"),
                      .reason = "PortInvalid",
                      .message = absl::StrCat(port.port(), " is no port; it is left out"),
                      .remedy = "use a number from 1 to 65535"});
    }
    if (IsTcp(port.protocol()) && !port.app_protocol().empty() &&
        !FromAppProtocol(port.app_protocol())) {
      findings.Warning(
          {.object = object,
           .field = absl::StrCat(field, ".appProtocol"),
           .reason = "AppProtocolUnknown",
           .message = absl::StrCat("the mesh knows no protocol \"", port.app_protocol(),
                                   "\"; the port's name and number decide instead"),
           .remedy = "use http, http2, grpc, https, tls or tcp"});
    }
  }
  if (ClusterIps(service).empty() && !IsHeadless(service) &&
      service.spec().type() != "ExternalName") {
    findings.Warning(
        {.object = object,
         .field = "spec.clusterIP",
         .reason = "ClusterIpMissing",
         .message = service.spec().cluster_ip().empty()
                        ? "there is no cluster IP, so that nothing can dial the service"
                        : absl::StrCat("\"", service.spec().cluster_ip(),
                                       "\" is no IP address, so that nothing can dial "
                                       "the service"),
         .remedy = "give it an address, or \"None\" if its pods are dialled directly"});
  }
  for (const std::string& ip : ClusterIps(service)) {
    const k8s::Service* owner = index.ServicesAt(ip).front();
    if (owner == &service) continue;
    findings.Error({.object = object,
                    .field = "spec.clusterIP",
                    .reason = "ClusterIpConflict",
                    .message = absl::StrCat("the older service ", Qualified(owner->metadata()),
                                            " has the address ", ip, " too and gets its traffic"),
                    .remedy = "give every service an address of its own"});
  }
}

// Two spellings of an annotation that say different things.
void CheckSpellings(const k8s::ObjectMeta& meta, const std::string& object, FindingSink& findings) {
  constexpr std::string_view kWeft = "config.weft.io/";
  for (const auto& [key, value] : meta.annotations()) {
    if (!key.starts_with(kWeft)) continue;
    const std::string other = absl::StrCat("config.nsm.nginx.com/", key.substr(kWeft.size()));
    auto it = meta.annotations().find(other);
    if (it == meta.annotations().end() || it->second == value) continue;
    findings.Warning({.object = object,
                      .field = absl::StrCat("metadata.annotations[", other, "]"),
                      .reason = "AnnotationConflict",
                      .message = absl::StrCat(key, " says \"", value, "\" and is in force; \"",
                                              it->second, "\" has no effect"),
                      .remedy = "keep one of the two annotations"});
  }
}

void CheckPod(const View& view, const k8s::Pod& pod, weft::v1::MtlsMode mesh_mode,
              FindingSink& findings) {
  const std::string object = absl::StrCat("Pod ", Qualified(pod.metadata()));
  TightenedMtlsMode(mesh_mode, pod.metadata(), object, findings);
  CheckIgnoredPorts(pod.metadata(), object, findings);
  InboundPortsOf(view, pod, findings);
}

void CheckTcpRoute(const k8s::TcpRoute& route, FindingSink& findings) {
  for (int i = 0; i < route.spec().matches().ports_size(); ++i) {
    const int port = route.spec().matches().ports(i);
    if (port >= 1 && port <= 65535) continue;
    findings.Error({.object = absl::StrCat("TCPRoute ", Qualified(route.metadata())),
                    .field = absl::StrCat("spec.matches.ports[", i, "]"),
                    .reason = "PortInvalid",
                    .message = absl::StrCat(port, " is no port; it matches no connection"),
                    .remedy = "use a number from 1 to 65535"});
  }
}

}  // namespace

void CheckMesh(const Index& index, const View& view, FindingSink& findings) {
  const weft::v1::MeshSettings settings = CompileSettings(view, findings);
  const store::Store& store = index.store();
  store.ForEach<k8s::MeshConfig>("", [&](const k8s::MeshConfig& config) {
    if (config.metadata().name() == "default") return;
    findings.Error({.object = absl::StrCat("MeshConfig ", config.metadata().name()),
                    .field = "metadata.name",
                    .reason = "MeshConfigIgnored",
                    .message = "only the MeshConfig \"default\" counts; this one has no effect",
                    .remedy = "name it \"default\""});
  });
  store.ForEach<k8s::Service>("", [&](const k8s::Service& service) {
    CheckService(index, service, findings);
    CheckSpellings(service.metadata(), absl::StrCat("Service ", Qualified(service.metadata())),
                   findings);
  });
  store.ForEach<k8s::Pod>("", [&](const k8s::Pod& pod) {
    CheckPod(view, pod, settings.mtls_mode(), findings);
    CheckSpellings(pod.metadata(), absl::StrCat("Pod ", Qualified(pod.metadata())), findings);
  });
  store.ForEach<k8s::HttpRouteGroup>(
      "", [&](const k8s::HttpRouteGroup& group) { MatchesOf(group, findings); });
  store.ForEach<k8s::TcpRoute>("",
                               [&](const k8s::TcpRoute& route) { CheckTcpRoute(route, findings); });
  store.ForEach<k8s::TrafficSplit>(
      "", [&](const k8s::TrafficSplit& split) { CheckSplit(view, split, findings); });
}

}  // namespace weft::compile
