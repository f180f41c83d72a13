#include "tools/meshctl/cluster_control_plane.h"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "base/x509_certificate.h"

namespace weft::meshctl {
namespace {

constexpr absl::Duration kForwardDeadline = absl::Seconds(20);
constexpr size_t kMaxReplicas = 16;

// A line on a terminal that says what is being waited for, and is gone afterwards.
class Waiting {
 public:
  explicit Waiting(std::string_view what) : shown_(isatty(STDERR_FILENO) != 0) {
    if (shown_) std::cerr << what << " ..." << std::flush;
  }
  ~Waiting() {
    if (shown_) std::cerr << "\r\033[K" << std::flush;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  const bool shown_;
};

// What is missing, if it is, is Weft.
absl::Status Explained(const absl::Status& status, std::string_view what, const Cluster& cluster) {
  if (!absl::IsNotFound(status)) return status;
  return absl::NotFoundError(
      absl::StrCat("there is no ", ToAbsl(what), " in namespace ", cluster.mesh_namespace(), " of ",
                   cluster.Name(),
                   ": is Weft installed there? \"meshctl check\" tells more; --mesh-namespace "
                   "names another namespace, --context "
                   "another cluster"));
}

bool IsReady(const Json& pod) {
  if (!At(pod, {"metadata", "deletionTimestamp"}).is_null()) return false;
  const Json& conditions = At(pod, {"status", "conditions"});
  if (!conditions.is_array()) return false;
  for (const Json& condition : conditions) {
    if (TextAt(condition, {"type"}) == "Ready") return TextAt(condition, {"status"}) == "True";
  }
  return false;
}

absl::StatusOr<std::vector<std::string>> ReadyReplicas(const Cluster& cluster) {
  const absl::StatusOr<Json> pods = cluster.Get(
      absl::StrCat("/api/v1/namespaces/", cluster.mesh_namespace(), "/pods?labelSelector=",
                   absl::StrReplaceAll(kControlPlaneLabel, {{"/", "%2F"}, {"=", "%3D"}})));
  if (!pods.ok()) return pods.status();
  std::vector<std::string> ready;
  std::vector<std::string> others;
  for (const Json& pod : ItemsOf(*pods)) {
    const std::string name = TextAt(pod, {"metadata", "name"});
    if (IsReady(pod) && ready.size() < kMaxReplicas) {
      ready.push_back(name);
    } else {
      others.push_back(absl::StrCat(name, " (", TextAt(pod, {"status", "phase"}), ")"));
    }
  }
  if (!ready.empty()) return ready;
  return absl::UnavailableError(absl::StrCat(
      "no replica of the control plane in namespace ", cluster.mesh_namespace(), " is ready: ",
      others.empty() ? "there is none" : absl::StrJoin(others, ", "), "; \"kubectl -n ",
      cluster.mesh_namespace(), " describe pods -l ", kControlPlaneLabel, "\" tells why"));
}

absl::StatusOr<ForwardedReplica> Forward(const Cluster& cluster, const std::string& pod) {
  absl::StatusOr<Child> child =
      Child::Start(cluster.KubectlCommand(
                       {"port-forward", absl::StrCat("--namespace=", cluster.mesh_namespace()),
                        "--address=127.0.0.1", absl::StrCat("pod/", pod), ":15012"}),
                   Child::Output::kRead);
  if (!child.ok()) return child.status();
  return ForwardedReplica{.pod = pod, .address = "", .kubectl = *std::move(child)};
}

// Waits until kubectl says where it listens: "Forwarding from 127.0.0.1:40001 -> 15012".
absl::Status AwaitForwarding(ForwardedReplica& replica, absl::Time deadline) {
  absl::StatusOr<std::string> line = replica.kubectl.ReadLine(deadline);
  if (line.ok()) {
    absl::string_view words = *line;
    if (absl::ConsumePrefix(&words, "Forwarding from ")) {
      replica.address = std::string(words.substr(0, words.find(' ')));
      return absl::OkStatus();
    }
  }
  const std::string said = replica.kubectl.Errors();
  return absl::UnavailableError(
      absl::StrCat("kubectl port-forward to pod ", replica.pod, ": ",
                   said.empty() ? (line.ok() ? *line : std::string(line.status().message()))
                                : std::string(absl::StripAsciiWhitespace(said))));
}

}  // namespace

absl::StatusOr<std::string> SecretValue(const Json& secret, std::string_view key) {
  const std::string encoded = TextAt(secret, {"data", key});
  std::string value;
  if (encoded.empty()) {
    return absl::NotFoundError(
        absl::StrCat("Secret ", TextAt(secret, {"metadata", "name"}), " has no key ", ToAbsl(key)));
  }
  if (!absl::Base64Unescape(encoded, &value)) {
    return absl::DataLossError(absl::StrCat("Secret ", TextAt(secret, {"metadata", "name"}), ": ",
                                            ToAbsl(key), " is no base64"));
  }
  return value;
}

absl::StatusOr<ClusterControlPlane> ReachControlPlane(const Cluster& cluster) {
  const Waiting waiting("connecting to the control plane");
  const std::string in_namespace = absl::StrCat("/api/v1/namespaces/", cluster.mesh_namespace());
  const absl::StatusOr<Json> secret =
      cluster.Get(absl::StrCat(in_namespace, "/secrets/", kOperatorSecret));
  if (!secret.ok())
    return Explained(secret.status(), absl::StrCat("Secret ", kOperatorSecret), cluster);
  absl::StatusOr<std::string> token = SecretValue(*secret, "token");
  if (!token.ok()) return token.status();
  const absl::StatusOr<Json> roots =
      cluster.Get(absl::StrCat(in_namespace, "/configmaps/", kRootConfigMap));
  if (!roots.ok())
    return Explained(roots.status(), absl::StrCat("ConfigMap ", kRootConfigMap), cluster);
  std::string pem = TextAt(*roots, {"data", "root.pem"});
  if (absl::Status parsed = x509::Certificate::ListFromPem(pem).status(); !parsed.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("ConfigMap ", kRootConfigMap, ", root.pem: ", parsed.message()));
  }
  const absl::StatusOr<std::vector<std::string>> pods = ReadyReplicas(cluster);
  if (!pods.ok()) return pods.status();

  ClusterControlPlane reached{.root_pem = std::move(pem),
                              .operator_token = std::string(absl::StripAsciiWhitespace(*token)),
                              .replicas = {}};
  std::vector<ForwardedReplica> begun;
  for (const std::string& pod : *pods) {
    absl::StatusOr<ForwardedReplica> replica = Forward(cluster, pod);
    if (!replica.ok()) return replica.status();
    begun.push_back(*std::move(replica));
  }
  // A replica may go while meshctl comes; one is enough to answer.
  absl::Status last;
  const absl::Time deadline = absl::Now() + kForwardDeadline;
  for (ForwardedReplica& replica : begun) {
    if (absl::Status forwarding = AwaitForwarding(replica, deadline); !forwarding.ok()) {
      last = forwarding;
      continue;
    }
    reached.replicas.push_back(std::move(replica));
  }
  if (reached.replicas.empty()) return last;
  return reached;
}

}  // namespace weft::meshctl
