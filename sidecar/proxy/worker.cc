#include "sidecar/proxy/worker.h"

#include <utility>

#include "sidecar/proxy/cluster.h"
#include "sidecar/proxy/inbound.h"
#include "sidecar/proxy/outbound.h"

namespace weft::proxy {
namespace {

using Serve = io::Task<void> (*)(Worker&, std::unique_ptr<io::Socket>);

io::Task<void> AcceptLoop(Worker& worker, io::Listener& listener, Serve serve) {
  while (std::unique_ptr<io::Socket> socket = co_await listener.Accept()) {
    io::Spawn(serve(worker, std::move(socket)));
  }
}

absl::Status OpenAll(const std::vector<io::Address>& addresses,
                     std::vector<std::unique_ptr<io::Listener>>* listeners) {
  for (const io::Address& address : addresses) {
    absl::StatusOr<std::unique_ptr<io::Listener>> listener =
        io::Listener::Open(address, /*reuse_port=*/true);
    if (!listener.ok()) return listener.status();
    listeners->push_back(*std::move(listener));
  }
  return absl::OkStatus();
}

}  // namespace

Worker::Worker(const Options* options, discovery::Broker* broker,
               discovery::WorkerConfig::Options config_options)
    : options(*options), config(&reactor, broker, config_options, [](const std::string& name) {
        return std::make_unique<Cluster>(name);
      }) {
  config.OnChange([this] {
    if (config.workload() != nullptr) pod_ = std::make_shared<LocalPod>(*config.workload());
  });
}

Worker::~Worker() { Stop(); }

absl::Status Worker::Listen(const Listeners& listeners) {
  // The listeners register with the reactor of the thread that will run them.
  io::Reactor* caller = io::Reactor::Current();
  reactor.Bind();
  absl::Status opened = OpenAll(listeners.outbound, &outbound_listeners_);
  if (opened.ok()) opened = OpenAll(listeners.inbound, &inbound_listeners_);
  caller->Bind();
  return opened;
}

void Worker::Start(telemetry::Shard* shard) {
  metrics = shard;
  thread_ = std::thread([this] {
    reactor.Bind();
    for (const auto& listener : outbound_listeners_) {
      io::Spawn(AcceptLoop(*this, *listener, &ServeOutbound));
    }
    for (const auto& listener : inbound_listeners_) {
      io::Spawn(AcceptLoop(*this, *listener, &ServeInbound));
    }
    reactor.Run();
  });
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

upstream::Pools& Worker::App(const io::Address& address) {
  std::unique_ptr<upstream::Pools>& pools = apps_[address];
  if (pools == nullptr) {
    pools = std::make_unique<upstream::Pools>(address, "", &identity, &options.pools);
  }
  return *pools;
}

}  // namespace weft::proxy
