#include "control-plane/discovery/discovery_service.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "control-plane/ca/caller.h"
#include "control-plane/discovery/stream.h"

namespace weft::discovery {
namespace {

// A stream that ends before it begins.
template <typename Request, typename Response>
class Refusal final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit Refusal(const absl::Status& status) { this->Finish(ca::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

absl::StatusOr<Stream*> Open(Hub& hub, const grpc::CallbackServerContext& context) {
  absl::StatusOr<std::optional<SpiffeId>> identity =
      ca::PeerIdentity(context, hub.options().trust_domain);
  if (!identity.ok()) return identity.status();
  if (!identity->has_value()) {
    return absl::UnauthenticatedError(
        "discovery needs a mesh certificate: obtain one from CertificateService.Sign and connect "
        "with it");
  }
  return Stream::Start(hub, **std::move(identity), context.peer());
}

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
DiscoveryService::DeltaAggregatedResources(grpc::CallbackServerContext* context) {
  absl::StatusOr<Stream*> stream = Open(hub_, *context);
  if (stream.ok()) return *stream;
  hub_.metrics().StreamsRefused(stream.status().code()).Increment();
  WEFT_LOG_WARN("discovery stream refused peer={}: {}", context->peer(),
                stream.status().ToString());
  return new Refusal<grpc::ByteBuffer, grpc::ByteBuffer>(stream.status());
}

grpc::ServerBidiReactor<envoy::service::discovery::v3::DiscoveryRequest,
                        envoy::service::discovery::v3::DiscoveryResponse>*
DiscoveryService::StreamAggregatedResources(grpc::CallbackServerContext* context) {
  return new Refusal<envoy::service::discovery::v3::DiscoveryRequest,
                     envoy::service::discovery::v3::DiscoveryResponse>(absl::UnimplementedError(
      "state-of-the-world discovery is not served: use DeltaAggregatedResources"));
}

}  // namespace weft::discovery
