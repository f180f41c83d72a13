#include "base/kubernetes/config.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/kubernetes/file.h"
#include "base/strings.h"

namespace weft::kubernetes {

absl::StatusOr<Config> Config::InCluster(std::string_view directory) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0' || *port == '\0') {
    return absl::FailedPreconditionError(
        "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; name a "
        "kubeconfig file");
  }
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  Config config;
  config.server = absl::StrCat("https://", ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", port);
  config.token_file = absl::StrCat(ToAbsl(directory), "/token");
  config.ca_file = absl::StrCat(ToAbsl(directory), "/ca.crt");
  absl::StatusOr<std::string> token = ReadTokenFile(config.token_file);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::string> ca = ReadCredentialFile(config.ca_file);
  if (!ca.ok()) return ca.status();
  config.ca_pem = *std::move(ca);
  absl::StatusOr<std::string> name_space =
      ReadCredentialFile(absl::StrCat(ToAbsl(directory), "/namespace"));
  if (name_space.ok()) {
    config.name_space = std::string(absl::StripAsciiWhitespace(*name_space));
  }
  return config;
}

}  // namespace weft::kubernetes
