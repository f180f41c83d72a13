// Who calls: what a gRPC call proves about its caller.
#ifndef WEFT_CONTROL_PLANE_CA_CALLER_H_
#define WEFT_CONTROL_PLANE_CA_CALLER_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/spiffe_id.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace weft::ca {

// The identity in the client certificate, which TLS has verified against the mesh's roots when the
// connection was opened; nullopt if the client presented none. Unauthenticated if the certificate
// is not a workload's or of another trust domain.
absl::StatusOr<std::optional<SpiffeId>> PeerIdentity(const grpc::ServerContextBase& context,
                                                     std::string_view trust_domain);

// The token of "authorization: Bearer <token>"; empty if there is none.
std::string BearerToken(const grpc::ServerContextBase& context);

// A status as gRPC sends it; codes correspond by name and number.
grpc::Status ToGrpc(const absl::Status& status);

// Builds the peer identity from a chain in PEM, of which the first certificate is the peer's.
absl::StatusOr<SpiffeId> IdentityOfChain(std::string_view pem, std::string_view trust_domain);

// Splits "namespace/pod"; InvalidArgument, naming `field`, unless both are Kubernetes names.
struct WorkloadName {
  std::string name_space;
  std::string pod;
};
absl::StatusOr<WorkloadName> ParseWorkloadName(std::string_view name, std::string_view field);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_CALLER_H_
