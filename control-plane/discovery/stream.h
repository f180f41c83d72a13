// One sidecar's discovery stream: gRPC's reactor around a TypeSession per resource type.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_STREAM_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_STREAM_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "control-plane/discovery/hub.h"
#include "control-plane/discovery/type_session.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "weft/v1/inspect.pb.h"

namespace weft::discovery {

// Owns itself from Start until gRPC is done with it; the hub holds it, too. Thread-safe: gRPC's
// threads, the hub's and those of the inspect service call it.
class Stream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  struct Change {
    compile::ResourceKey key;
    absl::Time since;
  };

  // The peer's identity is `identity`, proven by TLS.
  Stream(Hub& hub, SpiffeId identity, std::string peer);

  // Joins the hub and begins to read; on an error nothing has begun.
  static absl::StatusOr<Stream*> Start(Hub& hub, SpiffeId identity, std::string peer);

  const SpiffeId& identity() const { return identity_; }
  absl::Time connected() const { return connected_; }

  // Some of the resources that it is subscribed to may have changed.
  void OnChanged(const std::vector<Change>& changes);

  // Ends the stream with the status once what is being written is written.
  void Close(const absl::Status& status);

  // For the inspect service; nullopt until the sidecar has said who it is.
  std::optional<v1::Proxy> Describe() const;
  std::vector<ResourcePtr> Sent() const;

  // What the sidecar has acknowledged under the key, as of TypeSession::HeldResource.
  std::optional<ResourcePtr> Held(const compile::ResourceKey& key) const;
  // "namespace/pod", empty until it has said.
  std::string workload() const;

 private:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  absl::Status Handle(const Request& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Identify(const Request& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void HandleAnswer(const Request& request, compile::ResourceType type)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status HandleSubscriptions(const Request& request, compile::ResourceType type)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckName(compile::ResourceType type, const std::string& name) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  size_t SubscriptionCount() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CloseLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  TypeSession& SessionOf(compile::ResourceType type) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Hub& hub_;
  const SpiffeId identity_;
  const std::string peer_;
  const absl::Time connected_;

  mutable absl::Mutex mu_;
  std::shared_ptr<Stream> self_ ABSL_GUARDED_BY(mu_);  // until OnDone
  std::string workload_ ABSL_GUARDED_BY(mu_);  // "namespace/pod", empty until the first request
  std::string version_ ABSL_GUARDED_BY(mu_);   // of the sidecar
  std::array<TypeSession, std::size(compile::kResourceTypes)> sessions_ ABSL_GUARDED_BY(mu_);
  uint64_t next_nonce_ ABSL_GUARDED_BY(mu_) = 1;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) =
      false;  // Finish has been or will be called: no other operation may start
  std::optional<absl::Status> finish_after_write_ ABSL_GUARDED_BY(mu_);
  grpc::ByteBuffer incoming_;  // gRPC's between StartRead and OnReadDone
  grpc::ByteBuffer outgoing_;  // gRPC's between StartWrite and OnWriteDone
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_STREAM_H_
