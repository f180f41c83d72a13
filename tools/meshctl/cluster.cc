#include "tools/meshctl/cluster.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/strings.h"

namespace weft::meshctl {
namespace {

constexpr char kRequestTimeout[] = "--request-timeout=15s";

absl::StatusOr<Json> ParseAnswer(const ProcessResult& result, std::string_view about) {
  if (result.exit_code != 0) return StatusOfKubectl(result);
  Json json = Json::parse(result.out, nullptr, false);
  if (json.is_discarded()) {
    return absl::DataLossError(absl::StrCat(ToAbsl(about), ": the API server's answer is no JSON"));
  }
  return json;
}

}  // namespace

absl::StatusOr<Cluster> Cluster::Open(const Options& options) {
  Cluster cluster;
  const char* kubectl = std::getenv("KUBECTL");
  cluster.kubectl_ = kubectl != nullptr && *kubectl != '\0' ? kubectl : "kubectl";
  if (!ProgramExists(cluster.kubectl_)) {
    return absl::NotFoundError(
        absl::StrCat("there is no ", cluster.kubectl_,
                     " in PATH, by which clusters are reached: install it or name it in KUBECTL; a "
                     "control plane outside of Kubernetes is "
                     "named by --control-plane and --state"));
  }
  cluster.context_ = options.context;
  cluster.kubeconfig_ = options.kubeconfig;
  cluster.mesh_namespace_ = options.mesh_namespace;
  return cluster;
}

std::string Cluster::Name() const {
  return absl::StrCat("the cluster of ", context_.empty() ? "kubectl's current context"
                                                          : absl::StrCat("context ", context_));
}

std::vector<std::string> Cluster::KubectlCommand(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {kubectl_};
  if (!kubeconfig_.empty()) command.push_back(absl::StrCat("--kubeconfig=", kubeconfig_));
  if (!context_.empty()) command.push_back(absl::StrCat("--context=", context_));
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::vector<std::string> Cluster::HelmFlags() const {
  std::vector<std::string> flags;
  if (!kubeconfig_.empty()) flags.push_back(absl::StrCat("--kubeconfig=", kubeconfig_));
  if (!context_.empty()) flags.push_back(absl::StrCat("--kube-context=", context_));
  return flags;
}

absl::StatusOr<ProcessResult> Cluster::Kubectl(const std::vector<std::string>& arguments,
                                               std::string_view input) const {
  return RunProcess(KubectlCommand(arguments), input);
}

absl::StatusOr<Json> Cluster::Get(std::string_view path) const {
  const absl::StatusOr<ProcessResult> result =
      Kubectl({"get", "--raw", std::string(path), kRequestTimeout});
  if (!result.ok()) return result.status();
  return ParseAnswer(*result, path);
}

absl::StatusOr<Json> Cluster::DryRun(std::string_view collection, const Json& object) const {
  const absl::StatusOr<ProcessResult> result =
      Kubectl({"create", "--raw", absl::StrCat(ToAbsl(collection), "?dryRun=All"), "-f", "-",
               kRequestTimeout},
              object.dump());
  if (!result.ok()) return result.status();
  return ParseAnswer(*result, collection);
}

absl::Status StatusOfKubectl(const ProcessResult& result) {
  const std::string said(absl::StripAsciiWhitespace(result.err));
  absl::string_view words = said;
  if (absl::ConsumePrefix(&words, "Error from server (")) {
    const size_t end = words.find("): ");
    if (end != absl::string_view::npos) {
      const absl::string_view reason = words.substr(0, end);
      const absl::string_view message = words.substr(end + 3);
      if (reason == "NotFound") return absl::NotFoundError(message);
      if (reason == "Forbidden") return absl::PermissionDeniedError(message);
      if (reason == "Unauthorized") return absl::UnauthenticatedError(message);
      if (reason == "AlreadyExists") return absl::AlreadyExistsError(message);
      if (reason == "ServiceUnavailable" || reason == "Timeout" || reason == "InternalError" ||
          reason == "TooManyRequests") {
        return absl::UnavailableError(message);
      }
      return absl::InvalidArgumentError(message);
    }
  }
  absl::ConsumePrefix(&words, "Error from server: ");
  if (absl::StrContains(said, "Unauthorized") || absl::StrContains(said, "must be logged in")) {
    return absl::UnauthenticatedError(words);
  }
  if (absl::StrContains(said, "admission webhook") || absl::StrContains(said, "is invalid")) {
    return absl::InvalidArgumentError(words);
  }
  if (absl::StrContains(said, "localhost:8080")) {
    return absl::FailedPreconditionError(
        absl::StrCat("kubectl knows no cluster (it tried localhost:8080): choose one with "
                     "--context or --kubeconfig, or name a control plane "
                     "outside of Kubernetes with --control-plane and --state"));
  }
  return absl::UnavailableError(
      said.empty() ? absl::StrCat("kubectl ended with code ", result.exit_code, " without a word")
                   : absl::StrCat("kubectl: ", words));
}

const Json& At(const Json& json, std::initializer_list<std::string_view> path) {
  static const Json& nothing = *new Json();
  const Json* at = &json;
  for (std::string_view key : path) {
    if (!at->is_object()) return nothing;
    const auto found = at->find(std::string(key));
    if (found == at->end()) return nothing;
    at = &*found;
  }
  return *at;
}

std::string TextAt(const Json& json, std::initializer_list<std::string_view> path) {
  const Json& value = At(json, path);
  return value.is_string() ? value.get<std::string>() : "";
}

const Json& ItemsOf(const Json& list) {
  static const Json& nothing = *new Json(Json::array());
  const Json& items = At(list, {"items"});
  return items.is_array() ? items : nothing;
}

}  // namespace weft::meshctl
