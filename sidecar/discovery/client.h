// The sidecar's end of discovery: one delta xDS stream to the control plane
// (envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources), shared by all
// workers.
#ifndef WEFT_SIDECAR_DISCOVERY_CLIENT_H_
#define WEFT_SIDECAR_DISCOVERY_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "sidecar/discovery/control_plane.h"
#include "sidecar/discovery/subscriber.h"
#include "sidecar/identity/identity.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {

// Where the stream stands; for metrics and the admin port.
struct ClientStatus {
  bool connected = false;     // a stream is open
  uint64_t streams = 0;       // opened since the start
  uint64_t failed_dials = 0;  // attempts that gave no stream
  uint64_t responses = 0;     // accepted
  uint64_t nacks = 0;         // refused
  size_t refused = 0;         // resources whose last version was refused
  std::string last_error;     // why there is no stream, or what is refused; empty if all is well
  size_t destinations = 0;    // subscribed to
  size_t endpoints = 0;
  // Workload, TrustBundle and MeshSettings have come: the sidecar knows what it is.
  bool has_workload = false;
  bool has_trust_bundle = false;
  bool has_settings = false;

  bool configured() const { return has_workload && has_trust_bundle && has_settings; }
};

// Keeps what it was told while the control plane is away, and catches up by
// initial_resource_versions when it is back. A resource that does not compile is refused (NACK,
// with its name and the reason) and the last good version stays. Main reactor only, except for the
// Broker's calls.
class Client final : public Broker {
 public:
  struct Options {
    std::string workload = {};  // "<namespace>/<pod>": node.id and the Workload's name
    std::string trust_domain = {};
    io::Nanos dial_timeout = 10 * io::kSecond;
    // Between attempts: doubles from the first to the second, with jitter.
    io::Nanos backoff_min = 200 * io::kMillisecond;
    io::Nanos backoff_max = 15 * io::kSecond;
  };

  // All outlive this.
  Client(Options options, ControlPlane* control_plane, identity::Identity* identity);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() override;

  // Adds a worker; before Start(). `subscriber` and its reactor live until Stop() has returned.
  void AddWorker(io::Reactor* reactor, Subscriber* subscriber);

  // Connects as soon as there is a certificate, and again whenever it must.
  void Start();

  // Ends the stream and returns when nothing of it runs any more. Once.
  io::Task<void> Stop();

  ClientStatus status() const;

  // Called on the main reactor whenever has_*, connected or the last error in status() changes.
  void OnStatus(std::function<void()> callback);

  const std::shared_ptr<const weft::v1::Workload>& workload() const;
  const std::shared_ptr<const weft::v1::MeshSettings>& settings() const;

  // All resources held with their versions, and what is wanted and not known yet, as JSON
  // (protobuf's mapping).
  std::string ConfigDump() const;

  // Broker; any thread.
  void Subscribe(Subscriber* subscriber, OnDemand type, std::string name) override;
  void Unsubscribe(Subscriber* subscriber, OnDemand type, std::string name) override;
  size_t DestinationsPerWorker() const override;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_CLIENT_H_
