// The control plane as meshctl reaches it: gRPC over TLS with the operator's token. Directly, with
// its address and its state directory, or in a Kubernetes cluster, by way of kubectl.
#ifndef WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_
#define WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "tools/meshctl/options.h"
#include "weft/v1/authority.grpc.pb.h"
#include "weft/v1/inspect.grpc.pb.h"

namespace weft::meshctl {

struct ClusterControlPlane;

// Errors of its calls say what to do: unreachable, wrong root, wrong token.
class ControlPlane {
 public:
  // With --control-plane or --state: reads root.pem and operator-token of the state directory, does
  // not connect yet. With neither: looks for it in the cluster; on the main thread only.
  static absl::StatusOr<ControlPlane> Open(const Options& options);

  // What people call it: its address, or namespace and cluster.
  const std::string& name() const { return name_; }

  // Calls a method of one of its services, for example
  //   Call(&v1::InspectService::Stub::GetStatus, request)
  // Every replica knows the mesh's objects, but each only the sidecars that are connected to it:
  // what is about these is gathered from all, everything else asked of one.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) const {
    absl::StatusOr<Response> gathered = absl::InternalError("no replica was asked");
    for (const Replica& replica : replicas_) {
      grpc::ClientContext context;
      Prepare(context);
      Stub stub(replica.channel);
      Response response;
      const grpc::Status called = (stub.*method)(&context, request, &response);
      if (called.ok()) {
        if (gathered.ok()) {
          Gather(response, *gathered);
        } else {
          gathered = std::move(response);
        }
        if constexpr (!kOfSidecars<Response>) break;
      } else {
        const absl::Status failed = Explain(replica, called);
        if constexpr (kOfSidecars<Response>) {
          if (gathered.ok()) {
            WarnOfMissing(failed);
          } else {
            gathered = failed;
          }
        } else {
          gathered = failed;
          // A sidecar's configuration is with one replica only.
          const bool elsewhere =
              std::is_same_v<Response, v1::GetProxyConfigResponse> && absl::IsNotFound(failed);
          if (!elsewhere) break;
        }
      }
    }
    return gathered;
  }

 private:
  struct Replica {
    std::string address;  // for messages
    std::shared_ptr<grpc::Channel> channel;
  };

  template <typename Response>
  static constexpr bool kOfSidecars = std::is_same_v<Response, v1::ListProxiesResponse> ||
                                      std::is_same_v<Response, v1::GetStatusResponse>;

  ControlPlane() = default;
  static absl::StatusOr<ControlPlane> OpenDirectly(const Options& options);
  static absl::StatusOr<ControlPlane> OpenInCluster(const Options& options);

  static void Gather(const v1::ListProxiesResponse& from, v1::ListProxiesResponse& to);
  static void Gather(const v1::GetStatusResponse& from, v1::GetStatusResponse& to);
  template <typename Response>
  static void Gather(const Response&, Response&) {}

  void Prepare(grpc::ClientContext& context) const;
  absl::Status Explain(const Replica& replica, const grpc::Status& status) const;
  static void WarnOfMissing(const absl::Status& status);

  std::string name_;
  std::vector<Replica> replicas_;
  std::string token_;         // secret
  std::string root_source_;   // for messages: where the root was read
  std::string token_source_;  // and the token
  std::string remedy_;  // what may be wrong if it is not reached, or not the one that was meant
  // Keeps the forwarded ports open.
  std::shared_ptr<const ClusterControlPlane> cluster_;
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CONTROL_PLANE_H_
