// One resource type on one stream: the server's half of the delta xDS protocol (Envoy's "xDS REST
// and gRPC protocol", incremental variant), without its transport.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_TYPE_SESSION_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_TYPE_SESSION_H_

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "control-plane/discovery/catalogue.h"
#include "control-plane/discovery/response.h"
#include "weft/v1/inspect.pb.h"

namespace weft::discovery {

// Remembers what the sidecar is subscribed to, what it was sent last and what is due, and has at
// most one response unacknowledged. Not thread-safe: its stream locks.
class TypeSession {
 public:
  explicit TypeSession(compile::ResourceType type) : type_(type) {}

  // Subscribes; true if the name is new. The resource, or its absence, is due even if the sidecar
  // was sent it before, for it may have dropped it, unless it says that it has `known_version`
  // (from initial_resource_versions; empty: none) and that is still current.
  bool Subscribe(std::string_view name, std::string_view known_version);

  // Forgets the name; false if it was not subscribed to.
  bool Unsubscribe(std::string_view name);

  // The resource may have changed at `since`; does nothing if it is not subscribed to.
  void MarkChanged(std::string_view name, absl::Time since);

  // The next response, now that the stream can take one; nullopt while one is unacknowledged or if
  // nothing is due. Carries up to about `max_bytes` (one resource at least); the rest stays due.
  std::optional<Response> Next(Catalogue& catalogue, std::string nonce, size_t max_bytes);

  // What the acknowledged response was.
  struct Acknowledged {
    bool refused = false;
    // When the oldest of the changes that it carried had happened; nullopt if it carried none.
    std::optional<absl::Time> since;
  };

  // The sidecar answers the response `nonce`: with an ACK, or with a NACK in its own words. nullopt
  // if that response is not the outstanding one (stale). What was refused is not sent again until
  // it changes.
  std::optional<Acknowledged> Acknowledge(std::string_view nonce,
                                          std::optional<std::string_view> refusal, absl::Time now);

  // What the sidecar has acknowledged under the name, now that nothing of the type is outstanding
  // or refused: null if nothing; nullopt if it is not subscribed to the name.
  std::optional<ResourcePtr> HeldResource(std::string_view name) const;

  size_t subscribed() const { return subscriptions_.size(); }
  bool InSync() const { return outstanding_.empty() && pending_.empty() && nack_.empty(); }
  v1::TypeState Describe() const;
  void ForEachName(const std::function<void(const std::string&)>& visit) const;
  // Every resource that was sent and exists.
  void ForEachSent(const std::function<void(const ResourcePtr&)>& visit) const;

 private:
  struct Subscription {
    enum class Known { kNothing, kVersion, kResource, kAbsence };
    Known known = Known::kNothing;  // what the sidecar has, as far as we know
    std::string version;            // kVersion: what it said to have
    ResourcePtr sent;               // kResource
    bool pending = false;           // its name is in pending_
    std::optional<absl::Time> changed;
  };

  void MakePending(const std::string& name, Subscription& subscription);
  // Adds the resource, or its absence, to the response if the sidecar does not have it; returns its
  // size.
  size_t Add(const std::string& name, ResourcePtr resource, Subscription& subscription,
             Response& response);

  const compile::ResourceType type_;
  absl::flat_hash_map<std::string, Subscription> subscriptions_;
  std::deque<std::string> pending_;  // may hold names that are no longer subscribed to
  std::string outstanding_;          // nonce of the unacknowledged response
  std::optional<absl::Time> outstanding_since_;
  std::string last_acked_;
  absl::Time last_ack_ = absl::InfinitePast();
  std::string nack_;
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_TYPE_SESSION_H_
