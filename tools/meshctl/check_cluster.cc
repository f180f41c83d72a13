#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "tools/meshctl/check.h"

namespace weft::meshctl {
namespace {

constexpr int kOldestMinor = 22;  // of Kubernetes 1.x: the chart's kubeVersion
constexpr int kNativeSidecarMinor = 29;
constexpr absl::Duration kTolerableSkew = absl::Seconds(5);
// Kubelets renew their Leases every 10 s; 40 s is when Kubernetes takes a node for lost.
constexpr absl::Duration kNodeLeaseDuration = absl::Seconds(40);
struct Definition {
  const char* name;
  std::vector<std::string> versions;
};

const std::vector<Definition>& Definitions() {
  static const auto& definitions = *new std::vector<Definition>{
      {"trafficsplits.split.smi-spec.io", {"v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"}},
      {"httproutegroups.specs.smi-spec.io", {"v1alpha3", "v1alpha4"}},
      {"tcproutes.specs.smi-spec.io", {"v1alpha3", "v1alpha4"}},
      {"meshconfigs.weft.io", {"v1"}},
  };
  return definitions;
}

// 34 of {"major": "1", "minor": "34+"}; -1 if that cannot be read.
int MinorOf(const Json& version) {
  std::string digits = TextAt(version, {"minor"});
  digits.erase(std::find_if_not(digits.begin(), digits.end(),
                                [](unsigned char c) { return absl::ascii_isdigit(c); }),
               digits.end());
  int minor = -1;
  if (TextAt(version, {"major"}) != "1" || !absl::SimpleAtoi(digits, &minor)) return -1;
  return minor;
}

// False if the API server is out of reach, so that asking on is idle.
bool CheckVersions(const Cluster& cluster, CheckReport& report) {
  const absl::StatusOr<ProcessResult> client =
      cluster.Kubectl({"version", "--client", "--output=json"});
  const absl::Status ran = !client.ok()             ? client.status()
                           : client->exit_code != 0 ? StatusOfKubectl(*client)
                                                    : absl::OkStatus();
  if (!ran.ok()) {
    report.Failure("kubectl", ToStd(ran.message()),
                   "see whether kubectl runs: kubectl version --client");
    return false;
  }
  const Json parsed = Json::parse(client->out, nullptr, false);
  report.Ok("kubectl", TextAt(parsed, {"clientVersion", "gitVersion"}));

  const absl::StatusOr<Json> server = cluster.Get("/version");
  if (!server.ok()) {
    report.Unknown("Kubernetes", server.status());
    return false;
  }
  const std::string name = TextAt(*server, {"gitVersion"});
  const int minor = MinorOf(*server);
  if (minor >= 0 && minor < kOldestMinor) {
    report.Failure("Kubernetes", name,
                   absl::StrCat("upgrade the cluster to 1.", kOldestMinor, " or later"));
  } else if (minor >= 0 && minor < kNativeSidecarMinor) {
    report.Warning("Kubernetes", absl::StrCat(name, " has no native sidecars"),
                   absl::StrCat("sidecars will be ordinary containers, which Jobs wait for and "
                                "init containers cannot use; 1.",
                                kNativeSidecarMinor, " and later have native ones"));
  } else {
    report.Ok("Kubernetes", name);
  }
  return true;
}

bool May(const Cluster& cluster, const std::vector<std::string>& what) {
  std::vector<std::string> arguments = {"auth", "can-i", "--quiet"};
  arguments.insert(arguments.end(), what.begin(), what.end());
  const absl::StatusOr<ProcessResult> result = cluster.Kubectl(arguments);
  return result.ok() && result->exit_code == 0;
}

void CheckRights(const Cluster& cluster, CheckReport& report) {
  if (May(cluster, {"*", "*", "--all-namespaces"})) {
    report.Ok("rights to install", "those of a cluster administrator");
    return;
  }
  static constexpr const char* kClusterWide[] = {
      "customresourcedefinitions.apiextensions.k8s.io",
      "clusterroles.rbac.authorization.k8s.io",
      "clusterrolebindings.rbac.authorization.k8s.io",
      "mutatingwebhookconfigurations.admissionregistration.k8s.io",
      "validatingwebhookconfigurations.admissionregistration.k8s.io",
  };
  static constexpr const char* kNamespaced[] = {
      "deployments.apps",
      "services",
      "serviceaccounts",
      "configmaps",
      "secrets",
      "roles.rbac.authorization.k8s.io",
      "poddisruptionbudgets.policy",
      "rolebindings.rbac.authorization.k8s.io",
  };
  std::vector<std::string> missing;
  for (const char* resource : kClusterWide) {
    if (!May(cluster, {"create", resource})) missing.emplace_back(resource);
  }
  for (const char* resource : kNamespaced) {
    if (!May(cluster,
             {"create", resource, absl::StrCat("--namespace=", cluster.mesh_namespace())})) {
      missing.emplace_back(resource);
    }
  }
  if (missing.empty()) {
    report.Ok("rights to install", "everything that the chart creates");
  } else {
    report.Failure("rights to install",
                   absl::StrCat("no right to create ", absl::StrJoin(missing, ", ")),
                   "let a cluster administrator install Weft");
  }
}

bool HasCookies(const Json& version) {
  return !At(version, {"schema", "openAPIV3Schema", "properties", "spec", "properties", "matches",
                       "items", "properties", "cookies"})
              .is_null();
}

// What a definition that somebody else installed lacks.
std::vector<std::string> Shortcomings(const Json& crd, const Definition& definition) {
  std::vector<std::string> lacks;
  const Json& versions = At(crd, {"spec", "versions"});
  for (const std::string& wanted : definition.versions) {
    bool served = false;
    for (const Json& version : versions) {
      if (TextAt(version, {"name"}) != wanted || At(version, {"served"}) != true) continue;
      served = true;
      if (At(version, {"subresources", "status"}).is_null()) {
        lacks.push_back(absl::StrCat("status in ", wanted));
      }
      if (absl::StartsWith(definition.name, "httproutegroups.") && !HasCookies(version)) {
        lacks.push_back(absl::StrCat("cookies in ", wanted));
      }
    }
    if (!served) lacks.push_back(wanted);
  }
  return lacks;
}

// Versions in which objects may be stored that our definitions do not have; they cannot be replaced
// then.
std::vector<std::string> ForeignStoredVersions(const Json& crd, const Definition& definition) {
  std::vector<std::string> foreign;
  const Json& stored = At(crd, {"status", "storedVersions"});
  if (!stored.is_array()) return foreign;
  for (const Json& version : stored) {
    if (!version.is_string()) continue;
    const std::string name = version.get<std::string>();
    if (std::ranges::find(definition.versions, name) == definition.versions.end())
      foreign.push_back(name);
  }
  return foreign;
}

// How a definition gets to be as the chart has it. What is not the release's, Helm leaves alone.
std::string RemedyFor(const Definition& definition, const Json& crd) {
  const bool helms = crd.is_null() ||
                     !TextAt(crd, {"metadata", "annotations", "meta.helm.sh/release-name"}).empty();
  return absl::StrCat(
      "meshctl install, or: ",
      helms ? "helm upgrade"
            : absl::StrCat("kubectl apply --server-side --force-conflicts --field-manager=helm -f "
                           "charts/weft/",
                           absl::EndsWith(definition.name, ".weft.io") ? "crds/" : "smi/",
                           definition.name, ".yaml"));
}

void CheckDefinitions(const Cluster& cluster, bool before, CheckReport& report) {
  for (const Definition& definition : Definitions()) {
    const std::string check = absl::StrCat(
        "CRD ",
        absl::string_view(definition.name).substr(0, absl::string_view(definition.name).find('.')));
    const absl::StatusOr<Json> crd = cluster.Get(
        absl::StrCat("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/", definition.name));
    if (absl::IsNotFound(crd.status())) {
      if (before) {
        report.Ok(check, "comes with the chart");
      } else {
        report.Failure(check, "is not installed", RemedyFor(definition, Json()));
      }
      continue;
    }
    if (!crd.ok()) {
      report.Unknown(check, crd.status());
      continue;
    }
    const std::vector<std::string> foreign = ForeignStoredVersions(*crd, definition);
    const std::vector<std::string> lacks = Shortcomings(*crd, definition);
    if (!foreign.empty()) {
      report.Failure(check,
                     absl::StrCat("objects may be stored as ", absl::StrJoin(foreign, ", "),
                                  ", which Weft's definition does not have"),
                     "write those objects anew in a later version, remove the old one from the "
                     "definition's status.storedVersions, then: " +
                         RemedyFor(definition, *crd));
    } else if (!lacks.empty()) {
      report.Warning(check,
                     absl::StrCat("somebody else's, or older: lacks ", absl::StrJoin(lacks, ", ")),
                     RemedyFor(definition, *crd));
    } else {
      report.Ok(check, absl::StrJoin(definition.versions, ", "));
    }
  }
}

void CheckOtherMeshes(const Cluster& cluster, CheckReport& report) {
  constexpr std::string_view kCheck = "other meshes";
  // What the names of their webhook configurations contain.
  static constexpr std::pair<const char*, const char*> kKnown[] = {
      {"nsm.nginx", "NGINX Service Mesh"}, {"istio", "Istio"}, {"linkerd", "Linkerd"},
      {"osm-", "Open Service Mesh"},       {"kuma", "Kuma"},   {"consul", "Consul"},
  };
  const absl::StatusOr<Json> webhooks =
      cluster.Get("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations");
  if (!webhooks.ok()) return report.Unknown(kCheck, webhooks.status());
  std::vector<std::string> found;
  for (const Json& webhook : ItemsOf(*webhooks)) {
    const std::string name = TextAt(webhook, {"metadata", "name"});
    for (const auto& [part, mesh] : kKnown) {
      if (absl::StrContains(name, part)) found.push_back(absl::StrCat(mesh, " (", name, ")"));
    }
  }
  if (found.empty()) return report.Ok(kCheck, "none found");
  report.Warning(kCheck, absl::StrJoin(found, ", "),
                 "a pod can have one sidecar only: take a namespace out of the other mesh before "
                 "it enters Weft");
}

// The API server's time, known to half a second, through an object that is not stored.
absl::StatusOr<absl::Time> ServerTime(const Cluster& cluster) {
  const absl::StatusOr<Json> object = cluster.DryRun(
      "/api/v1/namespaces/default/configmaps", {{"apiVersion", "v1"},
                                                {"kind", "ConfigMap"},
                                                {"metadata", {{"generateName", "weft-check-"}}}});
  if (!object.ok()) return object.status();
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, TextAt(*object, {"metadata", "creationTimestamp"}),
                       &time, nullptr)) {
    return absl::DataLossError("the API server tells no creationTimestamp");
  }
  return time + absl::Milliseconds(500);
}

std::string Seconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Seconds(duration), " s");
}

void CheckNodeClocks(const Cluster& cluster, absl::Time now, CheckReport& report) {
  constexpr std::string_view kCheck = "clocks of nodes";
  const absl::StatusOr<Json> leases =
      cluster.Get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases");
  if (!leases.ok()) return report.Unknown(kCheck, leases.status());
  std::vector<std::string> ahead;
  std::vector<std::string> behind;
  for (const Json& lease : ItemsOf(*leases)) {
    absl::Time renewed;
    if (!absl::ParseTime(absl::RFC3339_full, TextAt(lease, {"spec", "renewTime"}), &renewed,
                         nullptr))
      continue;
    const std::string node = TextAt(lease, {"metadata", "name"});
    if (renewed > now + kTolerableSkew)
      ahead.push_back(absl::StrCat(node, " ", Seconds(renewed - now), " ahead"));
    if (renewed < now - kNodeLeaseDuration)
      behind.push_back(absl::StrCat(node, " ", Seconds(now - renewed), " ago"));
  }
  if (!ahead.empty()) {
    report.Failure(
        kCheck, absl::StrJoin(ahead, ", "),
        "set the clocks of these nodes (NTP): certificates are valid at certain times only");
  } else if (!behind.empty()) {
    report.Warning(kCheck, absl::StrCat("last sign of life ", absl::StrJoin(behind, ", ")),
                   "these nodes are gone, or their clocks are behind: set them (NTP)");
  } else {
    report.Ok(kCheck,
              absl::StrCat("agree with the API server's; ", ItemsOf(*leases).size(), " looked at"));
  }
}

void CheckClocks(const Cluster& cluster, CheckReport& report) {
  constexpr std::string_view kCheck = "clock of this machine";
  const absl::Time before = absl::Now();
  const absl::StatusOr<absl::Time> server = ServerTime(cluster);
  const absl::Time after = absl::Now();
  if (!server.ok()) {
    report.Unknown(kCheck, server.status());
    return CheckNodeClocks(cluster, after, report);
  }
  const absl::Duration skew = *server - (before + (after - before) / 2);
  const absl::Duration tolerable = kTolerableSkew + (after - before) / 2;
  if (skew > tolerable || skew < -tolerable) {
    report.Warning(
        kCheck,
        absl::StrCat(Seconds(absl::AbsDuration(skew)),
                     skew > absl::ZeroDuration() ? " behind" : " ahead of", " the API server's"),
        "set the clocks (NTP): certificates are valid at certain times only");
  } else {
    report.Ok(kCheck, "agrees with the API server's");
  }
  CheckNodeClocks(cluster, after + skew, report);
}

}  // namespace

void CheckCluster(const Cluster& cluster, bool before, CheckReport& report) {
  if (!CheckVersions(cluster, report)) return;
  if (before) CheckRights(cluster, report);
  CheckDefinitions(cluster, before, report);
  CheckOtherMeshes(cluster, report);
  CheckClocks(cluster, report);
}

}  // namespace weft::meshctl
