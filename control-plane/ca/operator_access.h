// Whether a gRPC call is the operator's.
#ifndef WEFT_CONTROL_PLANE_CA_OPERATOR_ACCESS_H_
#define WEFT_CONTROL_PLANE_CA_OPERATOR_ACCESS_H_

#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"

namespace weft::ca {

// Unauthenticated unless the call carries the operator token as "authorization: Bearer <token>".
absl::Status CheckOperator(const grpc::ServerContextBase& context, std::string_view operator_token);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_OPERATOR_ACCESS_H_
