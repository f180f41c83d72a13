// weft.v1.InspectService: what meshctl and other tools of the operator ask the control plane.
#ifndef WEFT_CONTROL_PLANE_INSPECT_INSPECT_SERVICE_H_
#define WEFT_CONTROL_PLANE_INSPECT_INSPECT_SERVICE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/discovery/hub.h"
#include "weft/v1/inspect.grpc.pb.h"

namespace weft::inspect {

// What the service tells about its control plane beyond compiler and hub.
struct About {
  std::string source;  // "dir:/etc/weft/manifests"
  std::string trust_domain;
  absl::Time started;
  std::function<absl::Time()> root_not_after;
  std::function<std::vector<v1::Finding>()> source_findings;
};

// All findings: of the source's files first, then of the objects.
std::vector<v1::Finding> AllFindings(const About& about, const compile::Compiler& compiler);

// Answers UNAUTHENTICATED to whoever does not present the operator token. Thread-safe.
class InspectService final : public v1::InspectService::CallbackService {
 public:
  // The references must outlive the service.
  InspectService(const compile::Compiler& compiler, const discovery::Hub& hub,
                 std::string operator_token, About about);

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override;
  grpc::ServerUnaryReactor* ListProxies(grpc::CallbackServerContext* context,
                                        const v1::ListProxiesRequest* request,
                                        v1::ListProxiesResponse* response) override;
  grpc::ServerUnaryReactor* ListServices(grpc::CallbackServerContext* context,
                                         const v1::ListServicesRequest* request,
                                         v1::ListServicesResponse* response) override;
  grpc::ServerUnaryReactor* ListSplits(grpc::CallbackServerContext* context,
                                       const v1::ListSplitsRequest* request,
                                       v1::ListSplitsResponse* response) override;
  grpc::ServerUnaryReactor* ResolveRoute(grpc::CallbackServerContext* context,
                                         const v1::ResolveRouteRequest* request,
                                         v1::ResolveRouteResponse* response) override;
  grpc::ServerUnaryReactor* GetProxyConfig(grpc::CallbackServerContext* context,
                                           const v1::GetProxyConfigRequest* request,
                                           v1::GetProxyConfigResponse* response) override;

 private:
  // Runs `answer` if the caller is authorized, and finishes the call.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   const std::function<absl::Status()>& answer) const;
  absl::Status FillStatus(v1::GetStatusResponse& response) const;
  absl::Status FillProxies(std::string_view name_space, v1::ListProxiesResponse& response) const;
  absl::Status FillConfig(std::string_view workload, v1::GetProxyConfigResponse& response) const;

  const compile::Compiler& compiler_;
  const discovery::Hub& hub_;
  const std::string operator_token_;
  const About about_;
};

}  // namespace weft::inspect

#endif  // WEFT_CONTROL_PLANE_INSPECT_INSPECT_SERVICE_H_
