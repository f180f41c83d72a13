// A Kubernetes cluster as kubectl reaches it: meshctl has its contexts, credentials and plugins
// that way.
#ifndef WEFT_TOOLS_MESHCTL_CLUSTER_H_
#define WEFT_TOOLS_MESHCTL_CLUSTER_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "injector/init/subprocess.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

using Json = nlohmann::json;

// A value. Every call runs kubectl ($KUBECTL, else of PATH) and blocks, at most about 30 s.
class Cluster {
 public:
  // NotFound, with the remedy, if there is no kubectl. Does not ask the cluster yet.
  static absl::StatusOr<Cluster> Open(const Options& options);

  // Where the mesh's own parts are.
  const std::string& mesh_namespace() const { return mesh_namespace_; }

  // What messages call it: "the cluster of context kind-a", "the cluster of kubectl's current
  // context".
  std::string Name() const;

  // The object or list at a path of the API ("/api/v1/namespaces/shop"). NotFound; PermissionDenied
  // and Unauthenticated in the API server's words; Unavailable if it cannot be reached.
  absl::StatusOr<Json> Get(std::string_view path) const;

  // What the API server would make of a new object, which is not stored (dryRun=All). Admission
  // webhooks see it. Errors as of Get; what is refused, by the schema or by a webhook, is
  // InvalidArgument.
  absl::StatusOr<Json> DryRun(std::string_view collection, const Json& object) const;

  // Runs kubectl with these arguments behind those that choose the cluster. The exit code is the
  // caller's to judge.
  absl::StatusOr<ProcessResult> Kubectl(const std::vector<std::string>& arguments,
                                        std::string_view input = {}) const;

  // The command line of it, for other ways to run it.
  std::vector<std::string> KubectlCommand(const std::vector<std::string>& arguments) const;

  // How Helm is told to use the same cluster: --kube-context and --kubeconfig.
  std::vector<std::string> HelmFlags() const;

 private:
  std::string kubectl_;
  std::string context_;
  std::string kubeconfig_;
  std::string mesh_namespace_;
};

// A failed kubectl's own words as a status; what it was about to do is not among them.
absl::Status StatusOfKubectl(const ProcessResult& result);

// The member at a path of keys ("metadata", "name"); a null value if there is none.
const Json& At(const Json& json, std::initializer_list<std::string_view> path);

// The same as text; empty if it is no string.
std::string TextAt(const Json& json, std::initializer_list<std::string_view> path);

// The items of a list; empty if it is none.
const Json& ItemsOf(const Json& list);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CLUSTER_H_
