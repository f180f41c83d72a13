// One simulated sidecar: subscribes, acknowledges whatever comes, comes back when it loses its
// connection, and remembers when it was told what.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_FLEET_SIDECAR_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_FLEET_SIDECAR_H_

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "control-plane/compile/resource.h"
#include "control-plane/discovery/fleet/connection.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::discovery::fleet {

// What all sidecars of a fleet have in common.
struct Shared {
  sockaddr_storage control_plane = {};
  SSL_CTX* tls = nullptr;
  Traffic traffic = {};
  uint64_t messages = 0;  // responses received
  uint64_t failures = 0;  // connections that came to nothing or broke
  std::mt19937_64 random{1};
};

// Not thread-safe.
class Sidecar final : public Connection::Listener {
 public:
  // `id` is "namespace/pod".
  Sidecar(Shared& shared, std::string id, std::vector<compile::ResourceKey> wanted);

  // Begins to connect; does nothing if it is connected.
  void Connect();
  // Drops the connection without a word. What it was told it still knows, as a real one does.
  void Drop();
  // To be called when the connection's descriptor is ready. After an error it is dropped.
  void Drive();

  Connection* connection() const { return connection_.get(); }
  // When to connect again; InfiniteFuture while connected.
  absl::Time next_attempt() const { return next_attempt_; }
  void ComeBackAt(absl::Time when) { next_attempt_ = when; }

  // Whether this connection has had an answer to everything that it asked for: to all names the
  // first time, later to those whose version it could not name.
  bool settled() const { return settled_; }
  bool Wants(const compile::ResourceKey& key) const;

  // Waits for a version of the resource that contains `marker`; `reached` is called at the moment
  // when its acknowledgement has been handed to the kernel.
  void Watch(compile::ResourceKey key, std::string marker, std::function<void()> reached);

 private:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;

  void OnOpen() override;
  void OnMessage(std::string_view message) override;
  void Subscribe(compile::ResourceType type);
  void Send(const Request& request);

  Shared& shared_;
  const std::string id_;
  std::array<std::vector<std::string>, std::size(compile::kResourceTypes)> wanted_;
  absl::flat_hash_map<compile::ResourceKey, std::string> versions_;
  std::unique_ptr<Connection> connection_;
  size_t unanswered_ = 0;
  bool settled_ = false;
  absl::Time next_attempt_ = absl::InfinitePast();
  absl::Duration backoff_;
  compile::ResourceKey watched_ = {};
  std::string marker_;
  std::function<void()> reached_;
  bool seen_ = false;  // the marker, in a response that is not yet acknowledged
};

}  // namespace weft::discovery::fleet

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_FLEET_SIDECAR_H_
