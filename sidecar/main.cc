// weft-sidecar: the proxy beside a pod's application. This file is its wiring, from the flags to
// the drain.
#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "sidecar/admin/pages.h"
#include "sidecar/admin/readiness.h"
#include "sidecar/admin/server.h"
#include "sidecar/admin/startup_memory.h"
#include "sidecar/await_ready.h"
#include "sidecar/discovery/client.h"
#include "sidecar/discovery/control_plane.h"
#include "sidecar/flags.h"
#include "sidecar/identity/identity.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/probe/app_probes.h"
#include "sidecar/proxy/worker.h"
#include "sidecar/telemetry/telemetry.h"

namespace weft {
namespace {

// SIGTERM and SIGINT as an event of the main reactor. Made before any thread, which inherit the
// mask.
class Signals final : private io::Pollable {
 public:
  Signals() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    fd_ = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    io::Reactor::Current()->Add(fd_, this);
  }
  ~Signals() override { close(fd_); }

  io::Task<void> Await() {
    signalfd_siginfo info;
    while (read(fd_, &info, sizeof info) != sizeof info) co_await Wait(ready_);
  }

 private:
  void OnReady(uint32_t /*epoll_events*/) override { ready_.Notify(); }

  int fd_;
  io::Event ready_;
};

bool HasIpv6() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0;
  close(fd);
  return bound;
}

// REDIRECT sends local connections to the loopback address, others to the address they came in at.
proxy::Listeners ListenersFor(const Flags& flags) {
  proxy::Listeners listeners;
  const bool ipv6 = HasIpv6();
  const auto add = [](std::vector<io::Address>& to, const char* ip, uint16_t port) {
    to.push_back(*io::Address::FromIp(ip, port));
  };
  add(listeners.outbound, "127.0.0.1", flags.outbound_port);
  if (ipv6) add(listeners.outbound, "::1", flags.outbound_port);
  add(listeners.inbound, ipv6 ? "::" : "0.0.0.0", flags.inbound_port);
  return listeners;
}

absl::StatusOr<std::unique_ptr<admin::Server>> OpenServer(const std::string& flag,
                                                          const std::string& listen) {
  absl::StatusOr<io::Address> address = io::Address::Parse(
      listen.starts_with("*:") ? absl::StrCat(HasIpv6() ? "[::]" : "0.0.0.0", listen.substr(1))
                               : listen);
  if (!address.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", address.status().message()));
  }
  absl::StatusOr<std::unique_ptr<admin::Server>> server = admin::Server::Open(*address, {});
  if (!server.ok()) {
    return absl::Status(server.status().code(),
                        absl::StrCat(flag, ": ", server.status().message()));
  }
  return server;
}

// The application's probes that the injector has pointed at this sidecar.
absl::Status ServeAppProbes(admin::Server& server) {
  const char* json = std::getenv(probe::kAppProbesVariable);
  if (json == nullptr || *json == '\0') return absl::OkStatus();
  absl::StatusOr<probe::AppProbes> probes = probe::ParseAppProbes(json);
  if (!probes.ok()) return probes.status();
  probe::AddProbePages(server, *probes);
  return absl::OkStatus();
}

using Workers = std::vector<std::unique_ptr<proxy::Worker>>;

// Runs `work` on every worker's thread.
void PostToAll(const Workers& workers, const std::function<void(proxy::Worker&)>& work) {
  for (const std::unique_ptr<proxy::Worker>& worker : workers) {
    worker->reactor.Post([worker = worker.get(), work] { work(*worker); });
  }
}

// How many connections of one direction there are, from all workers.
io::Task<size_t> Count(const Workers& workers, proxy::Connections proxy::Worker::* direction) {
  struct Total {
    size_t answers = 0;
    size_t connections = 0;
    io::Event answered;
  };
  auto total = std::make_shared<Total>();
  io::Reactor* main = io::Reactor::Current();
  PostToAll(workers, [total, main, direction](proxy::Worker& worker) {
    main->Post([total, connections = (worker.*direction).size()] {
      ++total->answers;
      total->connections += connections;
      total->answered.Notify();
    });
  });
  while (total->answers < workers.size()) co_await Wait(total->answered);
  co_return total->connections;
}

// Waits until none is left, or the deadline; returns how many are left.
io::Task<size_t> AwaitNone(const Workers& workers, proxy::Connections proxy::Worker::* direction,
                           io::Nanos deadline) {
  constexpr io::Nanos kLookAgain = 20 * io::kMillisecond;
  size_t left = co_await Count(workers, direction);
  while (left > 0 && io::MonotonicNow() < deadline) {
    co_await io::Sleep(io::MonotonicNow() + kLookAgain);
    left = co_await Count(workers, direction);
  }
  co_return left;
}

// Inbound work finishes first: the application may need outbound to finish it. Opaque outbound
// connections, which say nothing of what is under way in them, end with the sidecar.
io::Task<void> AwaitEnd(Signals& signals, const Flags& flags, const Workers& workers,
                        admin::Readiness& readiness) {
  co_await signals.Await();
  WEFT_LOG_INFO("draining");
  readiness.Drain();
  co_await io::Sleep(io::MonotonicNow() + flags.drain_delay);
  PostToAll(workers, [](proxy::Worker& worker) { worker.DrainInbound(); });
  const io::Nanos deadline = io::MonotonicNow() + flags.drain_timeout;
  const size_t inbound = co_await AwaitNone(workers, &proxy::Worker::inbound, deadline);
  PostToAll(workers, [](proxy::Worker& worker) { worker.DrainOutbound(); });
  const size_t outbound = co_await AwaitNone(workers, &proxy::Worker::outbound, deadline);
  if (inbound + outbound > 0) {
    WEFT_LOG_WARN("{} inbound and {} outbound connections did not finish in time", inbound,
                  outbound);
  }
  io::Reactor::Current()->Stop();
}

io::Task<void> StopAll(discovery::Client& client, identity::Identity& identity) {
  co_await client.Stop();
  co_await identity.Stop();
  io::Reactor::Current()->Stop();
}

// Where a pod's sidecar says whether it is ready.
absl::Status Await(const Flags& flags) {
  const absl::StatusOr<io::Address> health = io::Address::Parse(
      absl::StrCat("127.0.0.1", flags.health_listen.substr(flags.health_listen.rfind(':'))));
  if (!health.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--health-listen: ", health.status().message()));
  }
  return AwaitReady(health->port(), absl::Nanoseconds(flags.await_ready));
}

absl::Status Run(const Flags& flags) {
  if (absl::Status logging = InitLogging(flags.log_level); !logging.ok()) return logging;
  // An arena per thread is memory that sits idle; the hot path allocates from pools of its own.
  mallopt(M_ARENA_MAX, 2);
  io::Reactor reactor;
  Signals signals;

  // Who we are, and who tells us what to do.
  absl::StatusOr<std::unique_ptr<discovery::ControlPlane>> control_plane =
      discovery::ControlPlane::Create(&reactor, flags.control_plane,
                                      discovery::ControlPlaneIdentity(flags.trust_domain));
  if (!control_plane.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--control-plane: ", control_plane.status().message()));
  }
  identity::Identity::Options identity_options;
  identity_options.workload = flags.workload;
  identity_options.trust_domain = flags.trust_domain;
  identity_options.join_token_file = flags.join_token_file;
  identity_options.trust_bundle_file = flags.trust_bundle_file;
  absl::StatusOr<std::unique_ptr<identity::Identity>> identity =
      identity::Identity::Create(std::move(identity_options), control_plane->get());
  if (!identity.ok()) return identity.status();
  discovery::Client::Options client_options;
  client_options.workload = flags.workload;
  client_options.trust_domain = flags.trust_domain;
  discovery::Client client(client_options, control_plane->get(), identity->get());

  // The workers carry the traffic.
  telemetry::Telemetry telemetry;
  const proxy::Options options;
  const proxy::Listeners listeners = ListenersFor(flags);
  Workers workers;
  for (unsigned i = 0; i < flags.workers; ++i) {
    workers.push_back(
        std::make_unique<proxy::Worker>(&options, &client, discovery::WorkerConfig::Options()));
    client.AddWorker(&workers.back()->reactor, &workers.back()->config);
    if (absl::Status listening = workers.back()->Listen(listeners); !listening.ok()) {
      return listening;
    }
  }
  (*identity)->Subscribe([&workers](const std::shared_ptr<const tls::Context>& context) {
    PostToAll(workers, [context](proxy::Worker& worker) { worker.SetIdentity(context); });
  });

  // Windows into it.
  admin::Readiness readiness;
  admin::RequireConfiguration(readiness, &client, identity->get());
  admin::AddControlSideMetrics(telemetry, &client, identity->get());
  const admin::Subjects subjects{.discovery = &client,
                                 .identity = identity->get(),
                                 .telemetry = &telemetry,
                                 .readiness = &readiness};
  absl::StatusOr<std::unique_ptr<admin::Server>> admin_server =
      OpenServer("--admin-listen", flags.admin_listen);
  if (!admin_server.ok()) return admin_server.status();
  absl::StatusOr<std::unique_ptr<admin::Server>> metrics_server =
      OpenServer("--metrics-listen", flags.metrics_listen);
  if (!metrics_server.ok()) return metrics_server.status();
  absl::StatusOr<std::unique_ptr<admin::Server>> health_server =
      OpenServer("--health-listen", flags.health_listen);
  if (!health_server.ok()) return health_server.status();
  admin::AddAdminPages(**admin_server, subjects);
  admin::AddMetricsPages(**metrics_server, subjects);
  admin::AddHealthPages(**health_server, subjects);
  if (absl::Status probes = ServeAppProbes(**health_server); !probes.ok()) return probes;

  // What only the start needed is given back once the start is over.
  client.OnStatus([&client, done = false]() mutable {
    if (done || !client.status().configured()) return;
    done = true;
    admin::ReleaseStartupMemory();
  });

  // Life.
  WEFT_LOG_INFO("weft-sidecar {} for {}, {} workers", kVersion, flags.workload, workers.size());
  for (const std::unique_ptr<proxy::Worker>& worker : workers) {
    worker->Start(telemetry.AddShard(&worker->reactor));
  }
  (*identity)->Start();
  client.Start();
  io::Spawn(AwaitEnd(signals, flags, workers, readiness));
  reactor.Run();

  // Death: first what posts to the workers, then the workers.
  io::Spawn(StopAll(client, **identity));
  reactor.Run();
  for (const std::unique_ptr<proxy::Worker>& worker : workers) worker->Stop();
  WEFT_LOG_INFO("stopped");
  // Connections that were cut live in coroutines that nobody resumes: the process's end frees them.
  spdlog::shutdown();
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  weft::Flags flags;
  if (const std::optional<int> exit_code = weft::ParseFlags(argc, argv, &flags)) return *exit_code;
  const absl::Status status = flags.await_ready != 0 ? weft::Await(flags) : weft::Run(flags);
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << "weft-sidecar: " << status.message() << "\n";
  return EXIT_FAILURE;
}
