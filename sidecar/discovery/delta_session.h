// The client's half of the delta xDS protocol (Envoy's "xDS REST and gRPC protocol", incremental
// variant) on one stream, without its transport.
#ifndef WEFT_SIDECAR_DISCOVERY_DELTA_SESSION_H_
#define WEFT_SIDECAR_DISCOVERY_DELTA_SESSION_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "sidecar/discovery/resource_type.h"
#include "sidecar/discovery/subscriptions.h"

namespace weft::discovery {

// Observes what is wanted while it lives. Main reactor only.
class DeltaSession final : public WantObserver {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // What a response came to; for counters and logs.
  struct Handled {
    bool accepted = false;
    std::string refusal;  // what the control plane is told
  };

  // `on_work` is called when NextRequest() may have something again.
  DeltaSession(std::string node_id, Subscriptions* subscriptions, std::function<void()> on_work);
  DeltaSession(const DeltaSession&) = delete;
  DeltaSession& operator=(const DeltaSession&) = delete;
  ~DeltaSession() override;

  // The next request to send, if there is one. The first request of each type carries the versions
  // of all that is held, so that only differences come back; the first of all says who asks.
  bool NextRequest(Request& request);

  // Applies what is good and answers: an ACK, or a NACK that names each resource refused.
  Handled Handle(const Response& response);

  void OnWanted(ResourceType type, const std::string& name) override;
  void OnUnwanted(ResourceType type, const std::string& name) override;

 private:
  struct Answer {
    std::string nonce;
    std::string refusal;  // empty: ACK
  };
  struct TypeStream {
    bool opened = false;
    absl::flat_hash_set<std::string> subscribe;
    absl::flat_hash_set<std::string> unsubscribe;
    std::deque<Answer> answers;
  };

  bool FillOpening(ResourceType type, TypeStream& stream, Request& request);
  bool FillChange(ResourceType type, TypeStream& stream, Request& request);

  const std::string node_id_;
  Subscriptions* const subscriptions_;
  const std::function<void()> on_work_;
  std::array<TypeStream, kTypes> streams_;
  bool introduced_ = false;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_DELTA_SESSION_H_
