#include "tools/meshctl/install.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "tools/meshctl/check.h"
#include "tools/meshctl/cluster.h"
#include "tools/meshctl/cluster_child.h"
#include "tools/meshctl/cluster_membership.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNamedPods = 5;
constexpr int kMaxParents = 8;

void Say(std::string_view step) { std::cerr << Paint(Colour::kBold, step) << std::endl; }

absl::StatusOr<std::string> FindHelm() {
  const char* named = std::getenv("HELM");
  std::string helm = named != nullptr && *named != '\0' ? named : "helm";
  if (ProgramExists(helm)) return helm;
  return absl::NotFoundError(
      absl::StrCat("there is no ", helm, " in PATH: install Helm or name it in HELM"));
}

// Helm's or kubectl's output goes where ours goes; they explain their failures themselves.
absl::Status RunShown(const std::vector<std::string>& command) {
  absl::StatusOr<Child> child = Child::Start(command, Child::Output::kInherit);
  if (!child.ok()) return child.status();
  const int code = child->Wait();
  if (code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(fs::path(command[0]).filename().string(), " ended with code ", code));
}

absl::StatusOr<Cluster> OpenCluster(const Options& options) {
  if (!options.InCluster()) {
    return absl::InvalidArgumentError(
        "Weft is installed in a Kubernetes cluster: leave --control-plane and --state "
        "(WEFT_CONTROL_PLANE, WEFT_STATE) out");
  }
  if (!options.name_space.empty()) {
    return absl::InvalidArgumentError(
        "the namespace that Weft is installed in is named by --mesh-namespace, not by --namespace");
  }
  return Cluster::Open(options);
}

// Before it changes anything.
absl::Status CheckFirst(const Cluster& cluster, const Installation& installation) {
  if (installation.skip_check) return absl::OkStatus();
  Say("Looking at the cluster");
  CheckReport report;
  CheckCluster(cluster, /*before=*/true, report);
  if (report.failures() == 0) return absl::OkStatus();
  if (absl::Status printed = report.Print(Format::kTable); !printed.ok()) return printed;
  if (installation.force) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      report.Verdict().message(), "; nothing was changed (--force installs in spite of it)"));
}

// Helm creates definitions that are missing and changes those that are the release's. The others it
// leaves alone: those of another mesh, and that of MeshConfig, which is in crds/.
absl::StatusOr<bool> IsLeftAlone(const Cluster& cluster, const std::string& definition) {
  const absl::StatusOr<Json> found = cluster.Get(
      absl::StrCat("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/", definition));
  if (absl::IsNotFound(found.status())) return false;
  if (!found.ok()) return found.status();
  return TextAt(*found, {"metadata", "annotations", "meta.helm.sh/release-name"}).empty();
}

absl::Status TakeDefinitionsOver(const Cluster& cluster, const std::string& chart) {
  std::vector<std::string> command = cluster.KubectlCommand(
      {"apply", "--server-side", "--force-conflicts", "--field-manager=helm"});
  const size_t without_files = command.size();
  for (const char* folder : {"crds", "smi"}) {
    std::error_code error;
    // In an archive there is no looking: what exists stays as it is.
    for (const fs::directory_entry& file :
         fs::directory_iterator(fs::path(chart) / folder, error)) {
      const absl::StatusOr<bool> left_alone = IsLeftAlone(cluster, file.path().stem().string());
      if (!left_alone.ok()) return left_alone.status();
      if (*left_alone) command.push_back(absl::StrCat("--filename=", file.path().string()));
    }
  }
  if (command.size() == without_files) return absl::OkStatus();
  Say("Taking over CustomResourceDefinitions");
  return RunShown(command);
}

}  // namespace

absl::StatusOr<std::string> FindChart() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> places;
  if (!error) {
    fs::path folder = program.parent_path();
    places.push_back(folder.parent_path() / "share/weft/charts/weft");
    for (int i = 0; i < kMaxParents && folder != folder.root_path(); ++i) {
      places.push_back(folder / "charts/weft");
      folder = folder.parent_path();
    }
  }
  places.push_back(fs::current_path(error) / "charts/weft");
  for (const fs::path& place : places) {
    if (fs::exists(place / "Chart.yaml", error)) return place.string();
  }
  return absl::NotFoundError(
      absl::StrCat("there is no charts/weft beside or above ", program.string(),
                   " nor in the working directory: name the chart with --chart"));
}

absl::Status Install(const Options& options, const Installation& installation) {
  const absl::StatusOr<Cluster> cluster = OpenCluster(options);
  if (!cluster.ok()) return cluster.status();
  const absl::StatusOr<std::string> helm = FindHelm();
  if (!helm.ok()) return helm.status();
  absl::StatusOr<std::string> chart = installation.chart;
  if (installation.chart.empty()) chart = FindChart();
  if (!chart.ok()) return chart.status();
  if (absl::Status checked = CheckFirst(*cluster, installation); !checked.ok()) return checked;
  if (!installation.skip_crds) {
    if (absl::Status taken = TakeDefinitionsOver(*cluster, *chart); !taken.ok()) return taken;
  }
  Say(absl::StrCat("Installing ", *chart, " in namespace ", options.mesh_namespace));
  std::vector<std::string> command = {*helm,
                                      "upgrade",
                                      "--install",
                                      installation.release,
                                      *chart,
                                      absl::StrCat("--namespace=", options.mesh_namespace),
                                      "--create-namespace",
                                      "--reset-then-reuse-values",
                                      "--wait",
                                      "--timeout=5m"};
  if (installation.skip_crds) {
    command.emplace_back("--skip-crds");
    command.emplace_back("--set=crds.install=false");
  }
  for (std::string& flag : cluster->HelmFlags()) command.push_back(std::move(flag));
  command.insert(command.end(), installation.helm_flags.begin(), installation.helm_flags.end());
  if (absl::Status installed = RunShown(command); !installed.ok()) return installed;
  if (installation.skip_check) return absl::OkStatus();
  Say("Checking the mesh");
  return RunCheck(options, /*before=*/false);
}

absl::Status Uninstall(const Options& options, const Installation& installation) {
  const absl::StatusOr<Cluster> cluster = OpenCluster(options);
  if (!cluster.ok()) return cluster.status();
  const absl::StatusOr<std::string> helm = FindHelm();
  if (!helm.ok()) return helm.status();
  if (!installation.force) {
    const absl::StatusOr<std::vector<std::string>> pods = PodsWithSidecar(*cluster, kNamedPods + 1);
    if (!pods.ok()) return pods.status();
    if (!pods->empty()) {
      const bool more = pods->size() > kNamedPods;
      return absl::FailedPreconditionError(absl::StrCat(
          "pods still have sidecars, which without a control plane lose their certificates within "
          "the hour: ",
          absl::StrJoin(pods->begin(),
                        pods->begin() + static_cast<ptrdiff_t>(more ? kNamedPods : pods->size()),
                        ", "),
          more ? " and more" : "",
          "; take weft.io/inject from their namespaces and restart them (kubectl -n NAMESPACE "
          "rollout restart deployment), or "
          "give --force"));
    }
  }
  Say(absl::StrCat("Removing release ", installation.release, " from namespace ",
                   options.mesh_namespace));
  std::vector<std::string> command = {*helm,
                                      "uninstall",
                                      installation.release,
                                      absl::StrCat("--namespace=", options.mesh_namespace),
                                      "--wait",
                                      "--timeout=5m"};
  for (std::string& flag : cluster->HelmFlags()) command.push_back(std::move(flag));
  command.insert(command.end(), installation.helm_flags.begin(), installation.helm_flags.end());
  if (absl::Status removed = RunShown(command); !removed.ok()) return removed;
  std::cerr << "What stays: the CustomResourceDefinitions with your TrafficSplits and "
               "HTTPRouteGroups, and in namespace "
            << options.mesh_namespace
            << " the CA (Secret weft-ca). A new installation goes on with both.\n";
  return absl::OkStatus();
}

}  // namespace weft::meshctl
