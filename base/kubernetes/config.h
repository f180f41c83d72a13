// Where a Kubernetes API server is and how to present oneself to it.
#ifndef WEFT_BASE_KUBERNETES_CONFIG_H_
#define WEFT_BASE_KUBERNETES_CONFIG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::kubernetes {

// A plain value. Holds secrets: never log it.
struct Config {
  std::string server;           // "https://10.96.0.1:443", without a slash at the end
  std::string tls_server_name;  // expected in the certificate; empty: the host of `server`
  // The authorities that may vouch for the server. `ca_file`, if set, is read again when a
  // certificate does not verify. Both empty: those of the system.
  std::string ca_pem;
  std::string ca_file;
  // At most one of them; a file is read for every request, since its token is replaced while the
  // program runs.
  std::string token;
  std::string token_file;
  // A client certificate, or both empty.
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string proxy;                   // "http://proxy:3128"; empty: what the environment says
  std::string name_space = "default";  // the pod's own, or the context's

  // The credentials that Kubernetes mounts into every pod. FailedPrecondition: the program does
  // not run in a pod, or its service account is not mounted.
  static absl::StatusOr<Config> InCluster(
      std::string_view directory = "/var/run/secrets/kubernetes.io/serviceaccount");

  // The context of a kubeconfig file (https://kubernetes.io/docs/concepts/configuration), by
  // default its current one. Files named in it are relative to it. InvalidArgument names the file
  // and the field. Refuses what would weaken TLS (insecure-skip-tls-verify) and credentials that
  // other programs would have to produce (exec, auth-provider).
  static absl::StatusOr<Config> FromKubeconfig(std::string_view path,
                                               std::string_view context = {});
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_CONFIG_H_
