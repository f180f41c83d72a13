#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "base/version.h"
#include "base/x509_certificate.h"
#include "tools/meshctl/check.h"
#include "tools/meshctl/cluster_control_plane.h"
#include "tools/meshctl/cluster_membership.h"
#include "tools/meshctl/control_plane.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

constexpr absl::Duration kRenewSoon = absl::Hours(24 * 30);
constexpr size_t kNamed = 5;  // objects that a message names before it counts

// "a, b, c and 4 more".
std::string Several(const std::vector<std::string>& names) {
  if (names.size() <= kNamed) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kNamed, ", "), " and ",
                      names.size() - kNamed, " more");
}

// The tag of an image's name; a port may stand before it, a digest behind it.
std::string TagOf(const std::string& image) {
  const std::string name = image.substr(0, image.find('@'));
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos || (slash != std::string::npos && colon < slash)) return "";
  return name.substr(colon + 1);
}

void CheckDeployment(const Cluster& cluster, const std::string& name, CheckReport& report) {
  const absl::StatusOr<Json> deployment = cluster.Get(
      absl::StrCat("/apis/apps/v1/namespaces/", cluster.mesh_namespace(), "/deployments/", name));
  if (absl::IsNotFound(deployment.status())) {
    return report.Failure(
        name, absl::StrCat("there is no such Deployment in namespace ", cluster.mesh_namespace()),
        "install Weft (meshctl install), or name its namespace with --mesh-namespace");
  }
  if (!deployment.ok()) return report.Unknown(name, deployment.status());
  const Json& wanted = At(*deployment, {"spec", "replicas"});
  const Json& ready = At(*deployment, {"status", "readyReplicas"});
  const int want = wanted.is_number_integer() ? wanted.get<int>() : 1;
  const int have = ready.is_number_integer() ? ready.get<int>() : 0;
  const Json& containers = At(*deployment, {"spec", "template", "spec", "containers"});
  const std::string tag =
      containers.is_array() && !containers.empty() ? TagOf(TextAt(containers[0], {"image"})) : "";
  const std::string detail =
      absl::StrCat(have, " of ", want, " replicas ready", tag.empty() ? "" : ", version ", tag);
  const std::string look = absl::StrCat("kubectl -n ", cluster.mesh_namespace(),
                                        " describe pods -l app.kubernetes.io/name=", name);
  if (have == 0) {
    report.Failure(name, detail, look);
  } else if (have < want) {
    report.Warning(name, detail, look);
  } else if (!tag.empty() && tag != kVersion) {
    report.Warning(name, absl::StrCat(detail, "; meshctl is ", ToAbsl(kVersion)),
                   "use the meshctl of that version, or upgrade Weft");
  } else {
    report.Ok(name, detail);
  }
}

// Fingerprints of the certificates in PEM text; nullopt if it is none.
std::optional<std::set<std::string>> Fingerprints(const std::string& pem) {
  const absl::StatusOr<std::vector<x509::Certificate>> parsed = x509::Certificate::ListFromPem(pem);
  if (!parsed.ok()) return std::nullopt;
  std::set<std::string> fingerprints;
  for (const x509::Certificate& certificate : *parsed)
    fingerprints.insert(certificate.Fingerprint());
  return fingerprints;
}

// The roots as the mesh's own namespace has them, or nothing, which is reported.
std::string CheckRoots(const Cluster& cluster, CheckReport& report) {
  constexpr std::string_view kCheck = "root certificates";
  const absl::StatusOr<Json> map = cluster.Get(absl::StrCat(
      "/api/v1/namespaces/", cluster.mesh_namespace(), "/configmaps/", kRootConfigMap));
  if (absl::IsNotFound(map.status())) {
    report.Failure(kCheck,
                   absl::StrCat("there is no ConfigMap ", kRootConfigMap, " in namespace ",
                                cluster.mesh_namespace()),
                   "the control plane writes it when it has its CA: see its log");
    return "";
  }
  if (!map.ok()) {
    report.Unknown(kCheck, map.status());
    return "";
  }
  std::string pem = TextAt(*map, {"data", "root.pem"});
  const absl::StatusOr<std::vector<x509::Certificate>> roots = x509::Certificate::ListFromPem(pem);
  if (!roots.ok()) {
    report.Failure(
        kCheck,
        absl::StrCat("ConfigMap ", kRootConfigMap, ", root.pem: ", roots.status().message()),
        "delete the ConfigMap; the control plane writes it anew");
    return "";
  }
  absl::Time last = absl::InfinitePast();
  for (const x509::Certificate& root : *roots) last = std::max(last, root.NotAfter());
  const absl::Duration left = last - absl::Now();
  const std::string detail =
      absl::StrCat(roots->size(), roots->size() == 1 ? " root, " : " roots, ",
                   left < absl::ZeroDuration()
                       ? "expired"
                       : absl::StrCat("valid for ", absl::ToInt64Hours(left) / 24, " days"));
  if (left < absl::ZeroDuration()) {
    report.Failure(kCheck, detail,
                   "meshctl ca rotate; pods of the mesh have to be restarted, for none trusts the "
                   "other any more");
  } else if (left < kRenewSoon) {
    report.Warning(kCheck, detail, "meshctl ca rotate");
  } else {
    report.Ok(kCheck, detail);
  }
  return pem;
}

void CheckWebhook(const Cluster& cluster, const std::string& resource, const std::string& kind,
                  const std::string& roots, CheckReport& report) {
  const absl::StatusOr<Json> configuration = cluster.Get(
      absl::StrCat("/apis/admissionregistration.k8s.io/v1/", resource, "/weft-injector"));
  if (absl::IsNotFound(configuration.status())) {
    return report.Failure(kind, "there is no weft-injector",
                          "install Weft again: the chart brings it");
  }
  if (!configuration.ok()) return report.Unknown(kind, configuration.status());
  const std::optional<std::set<std::string>> trusted = Fingerprints(roots);
  const Json& webhooks = At(*configuration, {"webhooks"});
  size_t count = 0;
  bool rotating = false;
  for (const Json& webhook : webhooks.is_array() ? webhooks : Json::array()) {
    ++count;
    std::string pem;
    const bool decoded = absl::Base64Unescape(TextAt(webhook, {"clientConfig", "caBundle"}), &pem);
    const std::optional<std::set<std::string>> bundle = Fingerprints(pem);
    const std::string name = TextAt(webhook, {"name"});
    if (pem.empty() || !decoded || !bundle) {
      return report.Failure(kind, absl::StrCat("webhook ", name, " has no caBundle"),
                            "the injector writes it once it has a certificate: see its log");
    }
    if (!trusted) continue;
    const bool common = std::ranges::any_of(
        *bundle, [&](const std::string& one) { return trusted->contains(one); });
    if (!common) {
      return report.Failure(
          kind, absl::StrCat("the caBundle of webhook ", name, " has none of the mesh's roots"),
          "the injector brings it up to date: see its log");
    }
    rotating |= *bundle != *trusted;
  }
  report.Ok(kind, absl::StrCat(
                      count, count == 1 ? " webhook" : " webhooks", ", caBundle set",
                      rotating ? ", with other roots than the mesh: a rotation is under way" : ""));
}

// The API server calls the injector, as for a real pod; nothing is stored.
void CheckInjection(const Cluster& cluster, CheckReport& report) {
  constexpr std::string_view kCheck = "injection";
  const absl::StatusOr<Json> pod = cluster.DryRun(
      "/api/v1/namespaces/default/pods",
      {{"apiVersion", "v1"},
       {"kind", "Pod"},
       {"metadata", {{"generateName", "weft-check-"}, {"labels", {{"weft.io/inject", "enabled"}}}}},
       {"spec", {{"containers", {{{"name", "app"}, {"image", "weft/check"}}}}}}});
  if (!pod.ok()) {
    if (absl::StrContains(pod.status().message(), "failed calling webhook")) {
      return report.Failure(kCheck, ToStd(pod.status().message()),
                            "see whether the API server reaches Service weft-injector (network "
                            "policies, firewalls to port 8443), and "
                            "the injector's log");
    }
    return report.Warning(
        kCheck, absl::StrCat("a trial pod is refused: ", pod.status().message()),
        "other rules of namespace default may refuse it; try in a namespace of your own");
  }
  if (HasSidecar(*pod)) return report.Ok(kCheck, "a pod that asks for a sidecar gets one");
  report.Failure(
      kCheck, "a pod that asks for a sidecar gets none",
      "see the injector's log, and whether namespace default is among the excluded ones");
}

void CheckValidation(const Cluster& cluster, CheckReport& report) {
  constexpr std::string_view kCheck = "validation";
  const absl::StatusOr<Json> group =
      cluster.DryRun("/apis/specs.smi-spec.io/v1alpha3/namespaces/default/httproutegroups",
                     {{"apiVersion", "specs.smi-spec.io/v1alpha3"},
                      {"kind", "HTTPRouteGroup"},
                      {"metadata", {{"name", "weft-check"}}},
                      {"spec", {{"matches", {{{"name", "no-expression"}, {"pathRegex", "("}}}}}}});
  if (group.ok()) {
    return report.Warning(kCheck, "a mistaken HTTPRouteGroup is let through",
                          "see whether the API server reaches Service weft-injector, or switch "
                          "injector.validation on; mistakes are "
                          "otherwise reported in status only");
  }
  if (absl::StrContains(group.status().message(), "admission webhook")) {
    return report.Ok(kCheck, "a mistaken HTTPRouteGroup is refused");
  }
  report.Unknown(kCheck, group.status());
}

void CheckNamespaces(const Cluster& cluster, const std::string& roots, CheckReport& report) {
  constexpr std::string_view kCheck = "namespaces";
  const absl::StatusOr<std::vector<std::string>> members = MemberNamespaces(cluster);
  if (!members.ok()) return report.Unknown(kCheck, members.status());
  if (members->empty()) {
    return report.Ok(
        kCheck,
        "none is in the mesh yet (kubectl label namespace NAMESPACE weft.io/inject=enabled)");
  }
  const absl::StatusOr<Json> maps = cluster.Get(
      absl::StrCat("/api/v1/configmaps?fieldSelector=metadata.name%3D", kRootConfigMap));
  if (!maps.ok()) return report.Unknown(kCheck, maps.status());
  std::map<std::string, std::string> root_of;
  for (const Json& map : ItemsOf(*maps)) {
    root_of[TextAt(map, {"metadata", "namespace"})] = TextAt(map, {"data", "root.pem"});
  }
  std::vector<std::string> lacking;
  std::vector<std::string> outside;
  for (const std::string& name : *members) {
    if (root_of[name] != roots) lacking.push_back(name);
    const absl::StatusOr<std::vector<std::string>> pods = PodsWithoutSidecar(cluster, name);
    if (!pods.ok()) return report.Unknown(kCheck, pods.status());
    for (const std::string& pod : *pods) outside.push_back(absl::StrCat(name, "/", pod));
  }
  if (!lacking.empty()) {
    report.Failure(
        kCheck,
        absl::StrCat("ConfigMap ", kRootConfigMap, " is missing or old in ", Several(lacking)),
        "the control plane writes it: see its log; pods there wait for it");
  } else if (!outside.empty()) {
    report.Warning(
        kCheck, absl::StrCat("pods without a sidecar: ", Several(outside)),
        "sidecars come when pods are created: kubectl -n NAMESPACE rollout restart deployment");
  } else {
    report.Ok(kCheck, absl::StrCat(members->size(), " in the mesh, every pod has a sidecar"));
  }
}

void CheckControlPlane(const Options& options, CheckReport& report) {
  constexpr std::string_view kCheck = "control plane";
  using Stub = v1::InspectService::Stub;
  const absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  const absl::StatusOr<v1::GetStatusResponse> status =
      control_plane.ok() ? control_plane->Call(&Stub::GetStatus, v1::GetStatusRequest())
                         : control_plane.status();
  if (!status.ok()) return report.Unknown(kCheck, status.status());
  if (!status->source_synced()) {
    report.Warning(kCheck, "has not read the mesh's objects yet",
                   "wait a moment; then see its log");
  } else {
    report.Ok(kCheck, absl::StrCat("version ", status->version(), ", ", status->services(),
                                   " services, ", status->endpoints(), " endpoints"));
  }
  const auto errors =
      std::ranges::count(status->findings(), v1::Finding::ERROR, &v1::Finding::severity);
  if (errors > 0) {
    report.Warning("mesh objects",
                   absl::StrCat(errors, errors == 1 ? " mistake" : " mistakes", " found"),
                   "meshctl status");
  } else {
    report.Ok("mesh objects", "no mistakes found");
  }

  constexpr std::string_view kSidecars = "sidecars";
  const absl::StatusOr<v1::ListProxiesResponse> proxies =
      control_plane->Call(&Stub::ListProxies, v1::ListProxiesRequest());
  if (!proxies.ok()) return report.Unknown(kSidecars, proxies.status());
  std::vector<std::string> other_version;
  std::vector<std::string> refusing;
  for (const v1::Proxy& proxy : proxies->proxies()) {
    if (proxy.version() != status->version())
      other_version.push_back(absl::StrCat(proxy.id(), " (", proxy.version(), ")"));
    const bool refuses = std::ranges::any_of(
        proxy.types(), [](const v1::TypeState& type) { return !type.nack().empty(); });
    if (refuses) refusing.push_back(proxy.id());
  }
  if (!refusing.empty()) {
    report.Failure(kSidecars, absl::StrCat("refuse what they were sent: ", Several(refusing)),
                   "meshctl proxies");
  } else if (!other_version.empty()) {
    report.Warning(
        kSidecars,
        absl::StrCat("of another version than the control plane: ", Several(other_version)),
        "restart those pods when it suits: kubectl -n NAMESPACE rollout restart deployment");
  } else {
    report.Ok(kSidecars, absl::StrCat(proxies->proxies_size(), " connected"));
  }
}

}  // namespace

void CheckMesh(const Cluster& cluster, const Options& options, CheckReport& report) {
  CheckDeployment(cluster, "weft-control-plane", report);
  CheckDeployment(cluster, "weft-injector", report);
  const std::string roots = CheckRoots(cluster, report);
  CheckWebhook(cluster, "mutatingwebhookconfigurations", "mutating webhook", roots, report);
  CheckWebhook(cluster, "validatingwebhookconfigurations", "validating webhook", roots, report);
  CheckInjection(cluster, report);
  CheckValidation(cluster, report);
  CheckControlPlane(options, report);
  CheckNamespaces(cluster, roots, report);
}

absl::Status RunCheck(const Options& options, bool before) {
  if (!options.InCluster()) {
    return absl::InvalidArgumentError(
        "check looks at a Kubernetes cluster: leave --control-plane and --state "
        "(WEFT_CONTROL_PLANE, WEFT_STATE) out");
  }
  const absl::StatusOr<Cluster> cluster = Cluster::Open(options);
  if (!cluster.ok()) return cluster.status();
  CheckReport report;
  CheckCluster(*cluster, before, report);
  // Without an API server there is nothing more to learn.
  const bool reached = report.results().results_size() > 2;
  if (!before && reached) CheckMesh(*cluster, options, report);
  if (absl::Status printed = report.Print(options.format); !printed.ok()) return printed;
  return report.Verdict();
}

}  // namespace weft::meshctl
