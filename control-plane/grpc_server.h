// The gRPC listener of port 15012: TLS, limits and keepalive for all services on it.
#ifndef WEFT_CONTROL_PLANE_GRPC_SERVER_H_
#define WEFT_CONTROL_PLANE_GRPC_SERVER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"

namespace weft {

// Serves from Start until Shutdown or destruction.
class GrpcServer {
 public:
  // Listens on `address` ("[::]:15012"; port 0: any free one). An address of all IPv6 interfaces
  // becomes one of all IPv4 interfaces on a machine without IPv6. The services must outlive the
  // server.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      std::string_view address, std::shared_ptr<grpc::ServerCredentials> credentials,
      const std::vector<grpc::Service*>& services);

  // Stops accepting, lets calls end until `grace` is over, and cancels the rest.
  void Shutdown(absl::Duration grace);

  int port() const { return port_; }

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, int port);

  const std::unique_ptr<grpc::Server> server_;
  const int port_;
};

}  // namespace weft

#endif  // WEFT_CONTROL_PLANE_GRPC_SERVER_H_
