// "meshctl token create": join tokens, made offline in the control plane's state directory.
#ifndef WEFT_TOOLS_MESHCTL_TOKEN_H_
#define WEFT_TOOLS_MESHCTL_TOKEN_H_

#include <string>

#include "absl/status/status.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

struct TokenRequest {
  std::string service_account;
  std::string pod;  // name, or "namespace/name"; empty: any pod of the service account
  std::string ttl = "24h";
  std::string out;  // file to write the token to, mode 0600; empty: standard output
};

// Needs no control plane to be running: it notices the token by itself.
absl::Status CreateToken(const Options& options, const TokenRequest& request);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_TOKEN_H_
