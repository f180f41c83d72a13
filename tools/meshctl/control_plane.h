// The control plane as meshctl reaches it: gRPC over TLS with the operator's token.
#ifndef WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_
#define WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/client_context.h"
#include "tools/meshctl/options.h"
#include "weft/v1/inspect.grpc.pb.h"

namespace weft::meshctl {

// Errors of its calls say what to do: unreachable, wrong root, wrong token.
class ControlPlane {
 public:
  // Reads root.pem and operator-token of the state directory; does not connect yet.
  static absl::StatusOr<ControlPlane> Open(const Options& options);

  // Calls a method of the inspect service, for example
  //   Call(&v1::InspectService::Stub::GetStatus, request)
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::InspectService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    grpc::ClientContext context;
    Prepare(context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return Explain(status);
    return response;
  }

 private:
  ControlPlane(const Options& options, std::string token,
               std::shared_ptr<v1::InspectService::Stub> stub);
  void Prepare(grpc::ClientContext& context) const;
  absl::Status Explain(const grpc::Status& status) const;

  std::string address_;
  std::string state_;
  std::string token_;
  std::shared_ptr<v1::InspectService::Stub> stub_;
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_
