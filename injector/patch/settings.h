// What the cluster's administrator decided about injection: images, resources, modes. One document,
// the same for the webhook and for `meshctl inject`.
#ifndef WEFT_INJECTOR_PATCH_SETTINGS_H_
#define WEFT_INJECTOR_PATCH_SETTINGS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "base/version.h"
#include "injector/patch/json.h"

namespace weft::inject {

// Resource requests and limits of one container, as Kubernetes quantities; empty: none.
struct Resources {
  std::string cpu_request;
  std::string memory_request;
  std::string cpu_limit;
  std::string memory_limit;

  // The container's `resources`.
  Json ToJson() const;
};

// A value; the defaults are those of a mesh that was installed without any choice.
struct Settings {
  std::string image = absl::StrCat("weft/sidecar:", ToAbsl(kVersion));
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;  // names of Secrets in the pod's namespace
  Resources sidecar_resources = {"20m", "32Mi", "", "256Mi"};
  Resources init_resources = {"10m", "16Mi", "", "64Mi"};
  // Whether the sidecar is an init container that restarts always (Kubernetes 1.29 and later).
  bool native_sidecar = true;
  std::string control_plane = "weft-control-plane.weft-system.svc:15012";
  std::string trust_domain = "cluster.local";
  std::string name_space = "weft-system";  // of the mesh itself; its pods are never injected
  std::vector<std::string> excluded_namespaces;
  uint32_t uid = 1337;  // of the sidecar, and its group
  std::string log_level = "info";
  int workers = 0;  // threads that carry traffic; 0: the sidecar decides
  absl::Duration drain_delay = absl::Seconds(5);
  absl::Duration drain_timeout = absl::Seconds(20);
  bool rewrite_probes = true;
  // The mesh's mTLS mode as it was installed. Only warnings depend on it: MeshConfig decides.
  std::string mtls_mode = "permissive";
  std::string ignore_incoming_ports;
  std::string ignore_outgoing_ports;
  std::string ignore_outgoing_cidrs;
  std::string ipv6 = "auto";      // on, off, auto: weft-init's --ipv6
  std::string iptables = "auto";  // nft, legacy, auto: weft-init's --backend
};

// Reads the document (YAML or JSON; an empty one means the defaults). InvalidArgument names the
// field: one that does not exist, has the wrong type or a value that makes no sense.
absl::StatusOr<Settings> ParseSettings(std::string_view text);

// What settings and annotations have in common: InvalidArgument says what was expected. These
// messages do not name the field.
absl::Status SetQuantity(std::string_view text, std::string& to);
absl::Status SetBool(std::string_view text, bool& to);
absl::Status SetDuration(std::string_view text, absl::Duration& to);
absl::Status SetWorkers(std::string_view text, int& to);
absl::Status SetWord(std::string_view text, std::initializer_list<std::string_view> words,
                     std::string& to);
absl::Status SetPorts(std::string_view text, std::string& to);
absl::Status SetNetworks(std::string_view text, std::string& to);

// A request must not be above its limit. InvalidArgument says which is.
absl::Status CheckResources(const Resources& resources);

inline constexpr std::initializer_list<std::string_view> kLogLevels = {"trace", "debug", "info",
                                                                       "warn",  "error", "off"};
inline constexpr std::initializer_list<std::string_view> kPullPolicies = {"Always", "IfNotPresent",
                                                                          "Never"};

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_SETTINGS_H_
