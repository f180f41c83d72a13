#include "sidecar/proxy/worker.h"

#include <utility>

#include "sidecar/http/h2/held_bytes.h"
#include "sidecar/io/connect_limit.h"
#include "sidecar/proxy/cluster.h"
#include "sidecar/proxy/inbound.h"
#include "sidecar/proxy/outbound.h"
#include "sidecar/proxy/turn_away.h"

namespace weft::proxy {
namespace {

using Serve = io::Task<void> (*)(Worker&, std::unique_ptr<io::Socket>);

// The connection's place in the budget was taken.
io::Task<void> ServeOne(Worker& worker, std::unique_ptr<io::Socket> socket, Serve serve) {
  co_await serve(worker, std::move(socket));
  worker.budget.GiveBack();
}

void Begin(Worker& worker, std::unique_ptr<io::Socket> socket, Serve serve) {
  io::Spawn(worker.budget.Take() ? ServeOne(worker, std::move(socket), serve)
                                 : TurnAway(worker, std::move(socket)));
}

io::Task<void> AcceptLoop(Worker& worker, io::Listener& listener, Serve serve) {
  uint64_t failures = 0;
  while (std::unique_ptr<io::Socket> socket = co_await listener.Accept()) {
    if (const uint64_t more = listener.accept_failures() - failures; more > 0) {
      failures += more;
      worker.metrics
          ->Counter("weft_accept_failures_total",
                    "Attempts to take a connection that failed for lack of descriptors or memory.")
          ->Add(more);
    }
    Begin(worker, std::move(socket), serve);
  }
}

absl::Status OpenAll(const std::vector<io::Address>& addresses, Direction direction,
                     const Worker::Inherited& inherited,
                     std::vector<std::unique_ptr<io::Listener>>* listeners) {
  for (const io::Address& address : addresses) {
    const int fd = inherited == nullptr ? -1 : inherited(direction, address);
    absl::StatusOr<std::unique_ptr<io::Listener>> listener =
        fd >= 0 ? io::Listener::Adopt(fd) : io::Listener::Open(address, /*reuse_port=*/true);
    if (!listener.ok()) return listener.status();
    listeners->push_back(*std::move(listener));
  }
  return absl::OkStatus();
}

}  // namespace

Worker::Worker(const Options* options, discovery::Broker* broker,
               discovery::WorkerConfig::Options config_options, ConnectionBudget* budget)
    : options(*options),
      budget(*budget),
      config(&reactor, broker, config_options,
             [](const std::string& name) { return std::make_unique<Cluster>(name); }) {
  config.OnChange([this] {
    if (config.workload() != nullptr) pod_ = std::make_shared<LocalPod>(*config.workload());
  });
}

Worker::~Worker() { Stop(); }

absl::Status Worker::Listen(const Listeners& listeners, const Inherited& inherited) {
  // The listeners register with the reactor of the thread that will run them.
  io::Reactor* caller = io::Reactor::Current();
  reactor.Bind();
  absl::Status opened =
      OpenAll(listeners.outbound, Direction::kOutbound, inherited, &outbound_listeners_);
  if (opened.ok()) {
    opened = OpenAll(listeners.inbound, Direction::kInbound, inherited, &inbound_listeners_);
  }
  caller->Bind();
  return opened;
}

absl::Status Worker::AdoptListener(Direction direction, int fd) {
  io::Reactor* caller = io::Reactor::Current();
  reactor.Bind();
  absl::StatusOr<std::unique_ptr<io::Listener>> listener = io::Listener::Adopt(fd);
  caller->Bind();
  if (!listener.ok()) return listener.status();
  ListenersOf(direction).push_back(*std::move(listener));
  return absl::OkStatus();
}

std::vector<int> Worker::listeners(Direction direction) const {
  std::vector<int> descriptors;
  for (const auto& listener :
       direction == Direction::kOutbound ? outbound_listeners_ : inbound_listeners_) {
    descriptors.push_back(listener->fd());
  }
  return descriptors;
}

void Worker::Start(telemetry::Shard* shard) {
  metrics = shard;
  thread_ = std::thread([this] {
    io::SetMaxPendingConnects(options.max_pending_connects);
    http::h2::SetMaxHeldBytes(options.max_buffered_bytes);
    reactor.Run();
  });
}

void Worker::Accept() {
  for (const auto& listener : outbound_listeners_) {
    io::Spawn(AcceptLoop(*this, *listener, &ServeOutbound));
  }
  for (const auto& listener : inbound_listeners_) {
    io::Spawn(AcceptLoop(*this, *listener, &ServeInbound));
  }
}

void Worker::Adopt(Direction direction, int fd) {
  std::unique_ptr<io::Socket> socket = io::Socket::Adopt(fd);
  if (socket == nullptr) return;
  Begin(*this, std::move(socket),
        direction == Direction::kOutbound ? &ServeOutbound : &ServeInbound);
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  reactor.Stop();
  thread_.join();
}

void Worker::DrainInbound() {
  for (const auto& listener : inbound_listeners_) listener->Close();
  inbound.Drain();
}

void Worker::Retire(const std::function<void(Direction, int fd)>& take) {
  for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
    for (const auto& listener : ListenersOf(direction)) listener->Close();
    const auto take_one = [take, direction](int fd) { take(direction, fd); };
    const bool out = direction == Direction::kOutbound;
    (out ? undecided_outbound : undecided_inbound).Move(take_one);
    (out ? outbound : inbound).Move(take_one);
  }
}

upstream::Pools& Worker::App(const io::Address& address) {
  std::unique_ptr<upstream::Pools>& pools = apps_[address];
  if (pools == nullptr) {
    pools = std::make_unique<upstream::Pools>(address, "", &identity, &options.pools);
  }
  return *pools;
}

}  // namespace weft::proxy
