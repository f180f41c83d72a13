#include "control-plane/ca/operator_access.h"

#include <string>

#include "base/log.h"
#include "control-plane/ca/caller.h"
#include "control-plane/ca/secret.h"

namespace weft::ca {

absl::Status CheckOperator(const grpc::ServerContextBase& context,
                           std::string_view operator_token) {
  const std::string token = BearerToken(context);
  if (token.empty()) {
    return absl::UnauthenticatedError(
        "the operator token is missing: present the content of the control plane's operator-token "
        "file as \"authorization: Bearer <token>\"");
  }
  // Hashed first, so that the comparison's time says nothing about the token's length either.
  if (!SecretsEqual(HashSecret(token), HashSecret(operator_token))) {
    WEFT_LOG_WARN("operator's call with a wrong token peer={}", context.peer());
    return absl::UnauthenticatedError("the operator token is not this control plane's");
  }
  return absl::OkStatus();
}

}  // namespace weft::ca
