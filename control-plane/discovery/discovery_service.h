// envoy.service.discovery.v3.AggregatedDiscoveryService for sidecars: the incremental variant, over
// mutual TLS only.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_DISCOVERY_SERVICE_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_DISCOVERY_SERVICE_H_

#include "control-plane/discovery/hub.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"

namespace weft::discovery {

using AdsService = envoy::service::discovery::v3::AggregatedDiscoveryService;

class DiscoveryService final
    : public AdsService::WithRawCallbackMethod_DeltaAggregatedResources<
          AdsService::WithCallbackMethod_StreamAggregatedResources<AdsService::Service>> {
 public:
  // The hub must outlive the gRPC server that the service is registered with.
  explicit DiscoveryService(Hub& hub) : hub_(hub) {}

  // Errors that end a stream: UNAUTHENTICATED (no mesh certificate), PERMISSION_DENIED (node.id is
  // no pod of the caller's identity, or another's Workload), RESOURCE_EXHAUSTED (a limit),
  // INVALID_ARGUMENT (the request, or a type that is not served), UNAVAILABLE (shutting down).
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DeltaAggregatedResources(
      grpc::CallbackServerContext* context) override;

  // UNIMPLEMENTED: state-of-the-world discovery would send everything on every change.
  grpc::ServerBidiReactor<envoy::service::discovery::v3::DiscoveryRequest,
                          envoy::service::discovery::v3::DiscoveryResponse>*
  StreamAggregatedResources(grpc::CallbackServerContext* context) override;

 private:
  Hub& hub_;
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_DISCOVERY_SERVICE_H_
