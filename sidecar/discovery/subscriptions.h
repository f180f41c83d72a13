// What the workers want, what the control plane has said about it, and who is to be told.
#ifndef WEFT_SIDECAR_DISCOVERY_SUBSCRIPTIONS_H_
#define WEFT_SIDECAR_DISCOVERY_SUBSCRIPTIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "sidecar/discovery/resource_type.h"
#include "sidecar/discovery/subscriber.h"
#include "sidecar/io/reactor.h"
#include "sidecar/route/destination.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {

// One resource that somebody wants.
struct Resource {
  Answer answer = Answer::kAsked;
  std::string version;                                    // of what is held; empty if nothing is
  std::string bytes;                                      // as it came, in protobuf's wire format
  std::shared_ptr<const route::Destination> destination;  // of a Destination
  std::shared_ptr<const weft::v1::Endpoints> endpoints;   // of Endpoints
  std::string refused;  // why the last version was refused; empty if it was not
  // Who wants it: workers by number, and held destinations that lead to these endpoints.
  std::vector<uint32_t> workers;
  uint32_t destinations = 0;
  bool always = false;  // the sidecar's own

  bool wanted() const { return always || destinations > 0 || !workers.empty(); }
};

// Told of changes in what is wanted.
class WantObserver {
 public:
  virtual ~WantObserver() = default;
  virtual void OnWanted(ResourceType type, const std::string& name) = 0;
  virtual void OnUnwanted(ResourceType type, const std::string& name) = 0;
};

// Several workers that want one name share one subscription. A resource is compiled once for all of
// them, and forgotten when nobody wants it. The endpoints of all backends of a destination are
// wanted as soon as the destination is there, which saves a round trip. Main reactor only; workers
// are told by posts.
class Subscriptions {
 public:
  using Table = absl::flat_hash_map<std::string, Resource>;
  // Takes the sidecar's trust bundle over, or says why not.
  using TrustBundleSink = std::function<absl::Status(const weft::v1::TrustBundle&)>;

  Subscriptions(std::string workload, std::string trust_domain, TrustBundleSink trust_bundle);
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;

  void AddWorker(io::Reactor* reactor, Subscriber* subscriber);
  // The latest observer is told.
  void Observe(WantObserver* observer) { observer_ = observer; }
  void StopObserving(const WantObserver* observer) {
    if (observer_ == observer) observer_ = nullptr;
  }

  void Want(Subscriber* subscriber, OnDemand type, const std::string& name);
  void Unwant(Subscriber* subscriber, OnDemand type, const std::string& name);

  // The control plane's word. A name that nobody wants any more is ignored. Apply: InvalidArgument
  // names type and resource and says what is wrong; what was held stays.
  absl::Status Apply(ResourceType type, const std::string& name, const std::string& version,
                     const std::string& bytes);
  // It does not exist. The sidecar's own resources stay as they were.
  void Remove(ResourceType type, const std::string& name);

  const Table& table(ResourceType type) const { return tables_[static_cast<size_t>(type)]; }
  const std::shared_ptr<const weft::v1::Workload>& workload() const { return workload_; }
  const std::shared_ptr<const weft::v1::MeshSettings>& settings() const { return settings_; }
  bool has_trust_bundle() const { return has_trust_bundle_; }
  // Resources whose last version was refused.
  size_t refused() const { return refused_; }

 private:
  struct Worker {
    io::Reactor* reactor;
    Subscriber* subscriber;
  };

  Table& table(ResourceType type) { return tables_[static_cast<size_t>(type)]; }
  uint32_t WorkerOf(const Subscriber* subscriber) const;
  absl::Status Hold(ResourceType type, const std::string& name, const std::string& bytes,
                    Resource& resource);
  void HoldEndpointsOf(const route::Destination& destination);
  void ReleaseEndpointsOf(const route::Destination& destination);
  void SetRefused(Resource& resource, std::string why);
  void DropIfUnwanted(ResourceType type, const std::string& name);
  void TellAll(ResourceType type, const std::string& name, const Resource& resource);
  void Tell(const Worker& worker, ResourceType type, const std::string& name,
            const Resource& resource);

  const TrustBundleSink trust_bundle_;
  std::vector<Worker> workers_;
  WantObserver* observer_ = nullptr;
  std::array<Table, kTypes> tables_;
  std::shared_ptr<const weft::v1::Workload> workload_;
  std::shared_ptr<const weft::v1::MeshSettings> settings_;
  bool has_trust_bundle_ = false;
  size_t refused_ = 0;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_SUBSCRIPTIONS_H_
