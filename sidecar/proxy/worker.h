// One worker thread: everything that its connections share.
#ifndef WEFT_SIDECAR_PROXY_WORKER_H_
#define WEFT_SIDECAR_PROXY_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/log_budget.h"
#include "sidecar/discovery/worker_config.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/socket.h"
#include "sidecar/proxy/connection_budget.h"
#include "sidecar/proxy/connections.h"
#include "sidecar/proxy/local_pod.h"
#include "sidecar/proxy/options.h"
#include "sidecar/proxy/retry_budget.h"
#include "sidecar/route/random.h"
#include "sidecar/telemetry/shard.h"
#include "sidecar/upstream/connector.h"
#include "sidecar/upstream/pools.h"

namespace weft::proxy {

enum class Direction : uint8_t { kOutbound, kInbound };

// Where a sidecar listens.
struct Listeners {
  std::vector<io::Address> outbound;
  std::vector<io::Address> inbound;
};

// Owns its reactor; nothing of it is touched by another thread once Start() was called, except
// through Post to the reactor. Its members are open to the connections' coroutines, which run on
// its thread only.
class Worker {
 public:
  // `options`, `broker` and `budget` outlive it. Constructed on the main thread.
  Worker(const Options* options, discovery::Broker* broker,
         discovery::WorkerConfig::Options config_options, ConnectionBudget* budget);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Opens the listeners (every worker its own, on the same ports). Errors name the address.
  // `inherited`, if not null, is asked first: it returns the descriptor of a socket that listens on
  // the address already, or -1.
  using Inherited = std::function<int(Direction, const io::Address&)>;
  absl::Status Listen(const Listeners& listeners, const Inherited& inherited);
  // One listener more, on an address that others of the direction have too.
  absl::Status AdoptListener(Direction direction, int fd);
  // The listeners' descriptors. Before Retire() is posted.
  std::vector<int> listeners(Direction direction) const;
  // Runs the thread. `shard` belongs to it from now on.
  void Start(telemetry::Shard* shard);
  // Joins the thread.
  void Stop();

  // On the worker's thread:
  // Takes connections from now on.
  void Accept();
  // Goes on with a connection that a predecessor has accepted, and closes the descriptor.
  void Adopt(Direction direction, int fd);
  void SetIdentity(std::shared_ptr<const tls::Context> context) {
    identity.context = std::move(context);
  }
  // Takes no new inbound connections and finishes the others; outbound goes on.
  void DrainInbound();
  // Ends outbound HTTP connections behind the requests under way. New ones are still served.
  void DrainOutbound() { outbound.Drain(); }

  // Takes no new connections, which are a successor's from now on, and finishes the others. `take`
  // gets the descriptors of those that are idle, or become so.
  void Retire(const std::function<void(Direction, int fd)>& take);
  // Connections of all kinds.
  size_t connections() const {
    return inbound.size() + outbound.size() + opaque.size() + undecided_inbound.size() +
           undecided_outbound.size();
  }

  // The connections of this sidecar to the application on one of the pod's addresses.
  upstream::Pools& App(const io::Address& address);
  // Null until the control plane has told who we are.
  const std::shared_ptr<const LocalPod>& pod() const { return pod_; }

  const Options& options;
  ConnectionBudget& budget;
  io::Reactor reactor;
  discovery::WorkerConfig config;
  upstream::IdentitySlot identity;
  route::Random random;
  RetryBudget retry_budget;
  telemetry::Shard* metrics = nullptr;
  Connections inbound;
  Connections outbound;
  // Connections of which nobody can say whether something is under way: outbound ones that carry
  // opaque bytes, and any on which both ends are silent.
  Connections opaque;
  // Clients that have not shown what they speak, where no other would speak first.
  Connections undecided_inbound;
  Connections undecided_outbound;
  size_t turning_away = 0;  // clients that are one too many
  // Of lines about strangers: none of them can fill the log.
  LogBudget stranger_lines{/*lines=*/10, absl::Seconds(1)};

 private:
  std::vector<std::unique_ptr<io::Listener>>& ListenersOf(Direction direction) {
    return direction == Direction::kOutbound ? outbound_listeners_ : inbound_listeners_;
  }

  std::vector<std::unique_ptr<io::Listener>> outbound_listeners_;
  std::vector<std::unique_ptr<io::Listener>> inbound_listeners_;
  absl::flat_hash_map<io::Address, std::unique_ptr<upstream::Pools>> apps_;
  std::shared_ptr<const LocalPod> pod_;
  std::thread thread_;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_WORKER_H_
