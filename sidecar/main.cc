// weft-sidecar: the proxy beside a pod's application. This file is its wiring, from the flags to
// the drain.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
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
#include "sidecar/drain.h"
#include "sidecar/flags.h"
#include "sidecar/identity/identity.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/probe/app_probes.h"
#include "sidecar/proxy/worker.h"
#include "sidecar/replace/predecessor.h"
#include "sidecar/replace/successor.h"
#include "sidecar/signals.h"
#include "sidecar/take_over.h"
#include "sidecar/telemetry/telemetry.h"

namespace weft {
namespace {

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

// Of the port's small server, which takes connections from its Start() on.
absl::StatusOr<std::unique_ptr<admin::Server>> OpenServer(replace::Role role,
                                                          const std::string& listen,
                                                          replace::InheritedSockets& inherited) {
  const std::string flag = absl::StrCat("--", ToAbsl(replace::NameOf(role)), "-listen");
  absl::StatusOr<io::Address> address = io::Address::Parse(
      listen.starts_with("*:") ? absl::StrCat(HasIpv6() ? "[::]" : "0.0.0.0", listen.substr(1))
                               : listen);
  if (!address.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", address.status().message()));
  }
  replace::Descriptor fd = inherited.Take(role, *address);
  absl::StatusOr<std::unique_ptr<io::Listener>> listener =
      fd.get() >= 0 ? io::Listener::Adopt(fd.Release()) : io::Listener::Open(*address, false);
  if (!listener.ok()) {
    return absl::Status(listener.status().code(),
                        absl::StrCat(flag, ": ", listener.status().message()));
  }
  return admin::Server::Make(*std::move(listener), {});
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

// A successor, or a signal.
io::Task<void> AwaitEnd(Signals& signals, const Flags& flags, const Workers& workers,
                        admin::Readiness& readiness, replace::Succession* succession,
                        std::vector<std::unique_ptr<admin::Server>>& servers) {
  while (!signals.Take() && (succession == nullptr || succession->successor() == nullptr)) {
    if (succession == nullptr) {
      co_await Wait(signals.arrived());
    } else {
      co_await Wait(signals.arrived(), succession->arrived());
    }
  }
  if (succession != nullptr && succession->successor() != nullptr) {
    WEFT_LOG_INFO("replaced by a successor: finishing what is under way");
    servers.clear();
    co_await FinishForSuccessor(flags, workers, *succession->successor());
  } else {
    WEFT_LOG_INFO("draining");
    readiness.Drain();
    co_await Drain(flags, workers);
  }
  io::Reactor::Current()->Stop();
}

// Takes connections: at once, or when it is ready and the predecessor agrees.
io::Task<void> Begin(const Flags& flags, std::unique_ptr<replace::Predecessor> predecessor,
                     const Workers& workers, const admin::Readiness& readiness,
                     std::function<void()> accept, std::optional<replace::Succession>& succession,
                     absl::Status* outcome) {
  if (predecessor == nullptr) {
    accept();
  } else {
    const absl::Status taken_over =
        co_await TakeOver(*predecessor, readiness, flags.replace_timeout, accept);
    if (!taken_over.ok()) {
      if (readiness.draining()) co_return;
      *outcome = taken_over;
      io::Reactor::Current()->Stop();
      co_return;
    }
    io::Spawn(TakeConnections(std::move(predecessor), workers));
  }
  if (succession.has_value()) succession->Start();
}

replace::Succession::Hooks HooksFor(const Workers& workers,
                                    const std::vector<std::unique_ptr<admin::Server>>& servers,
                                    const admin::Readiness& readiness) {
  return {.sockets =
              [&workers, &servers] {
                std::vector<std::pair<replace::Role, int>> sockets = ListeningSockets(workers);
                sockets.emplace_back(replace::Role::kAdmin, servers[0]->fd());
                sockets.emplace_back(replace::Role::kMetrics, servers[1]->fd());
                sockets.emplace_back(replace::Role::kHealth, servers[2]->fd());
                return sockets;
              },
          .refusal = [&readiness] { return readiness.draining() ? "it is ending" : ""; }};
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

// Takes as many descriptors as the system grants.
void RaiseDescriptorLimit(size_t max_connections) {
  constexpr size_t kOthers = 1'000;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2 * max_connections + kOthers) {
    WEFT_LOG_INFO("{} descriptors are fewer than --max-connections={} may need", limit.rlim_cur,
                  max_connections);
  }
}

// Runs the reactor for the sake of one task.
template <typename T>
T RunToEnd(io::Reactor& reactor, io::Task<T> task) {
  std::optional<T> result;
  const auto run = [](io::Task<T> one, io::Reactor& on, std::optional<T>& into) -> io::Task<void> {
    into.emplace(co_await std::move(one));
    on.Stop();
  };
  io::Spawn(run(std::move(task), reactor, result));
  reactor.Run();
  return *std::move(result);
}

absl::Status Run(const Flags& flags) {
  if (absl::Status logging = InitLogging(flags.log_level); !logging.ok()) return logging;
  // An arena per thread is memory that sits idle; the hot path allocates from pools of its own.
  mallopt(M_ARENA_MAX, 2);
  RaiseDescriptorLimit(flags.options.max_connections);
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

  // From whom this one takes over, if from anybody; and where its own successor will knock.
  absl::StatusOr<Start> start = RunToEnd(reactor, MeetPredecessor(flags));
  if (!start.ok()) return start.status();
  replace::InheritedSockets& inherited = start->inherited;

  // Windows into it. Opened first: of two sidecars by mistake, the second gets no further.
  std::vector<std::unique_ptr<admin::Server>> servers;
  for (const auto& [role, listen] : {std::pair{replace::Role::kAdmin, &flags.admin_listen},
                                     std::pair{replace::Role::kMetrics, &flags.metrics_listen},
                                     std::pair{replace::Role::kHealth, &flags.health_listen}}) {
    absl::StatusOr<std::unique_ptr<admin::Server>> server = OpenServer(role, *listen, inherited);
    if (!server.ok()) return server.status();
    servers.push_back(*std::move(server));
  }

  // The workers carry the traffic.
  telemetry::Telemetry telemetry;
  proxy::ConnectionBudget budget(flags.options.max_connections);
  Workers workers;
  for (unsigned i = 0; i < flags.workers; ++i) {
    workers.push_back(std::make_unique<proxy::Worker>(&flags.options, &client,
                                                      discovery::WorkerConfig::Options(), &budget));
    client.AddWorker(&workers.back()->reactor, &workers.back()->config);
  }
  if (absl::Status listening = Listen(workers, ListenersFor(flags), inherited); !listening.ok()) {
    return listening;
  }
  (*identity)->Subscribe([&workers](const std::shared_ptr<const tls::Context>& context) {
    PostToAll(workers, [context](proxy::Worker& worker) { worker.SetIdentity(context); });
  });

  admin::Readiness readiness;
  admin::RequireConfiguration(readiness, &client, identity->get());
  admin::AddControlSideMetrics(telemetry, &client, identity->get());
  telemetry.AddCollector([&budget](std::vector<prometheus::MetricFamily>& families) {
    families.push_back(telemetry::GaugeFamily("weft_connections",
                                              "Connections of clients that are served.",
                                              static_cast<double>(budget.open())));
  });
  const admin::Subjects subjects{.discovery = &client,
                                 .identity = identity->get(),
                                 .telemetry = &telemetry,
                                 .readiness = &readiness};
  admin::AddAdminPages(*servers[0], subjects);
  admin::AddMetricsPages(*servers[1], subjects);
  admin::AddHealthPages(*servers[2], subjects);
  if (absl::Status probes = ServeAppProbes(*servers[2]); !probes.ok()) return probes;

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
  const auto accept = [&workers, &servers] {
    PostToAll(workers, [](proxy::Worker& worker) { worker.Accept(); });
    for (const auto& server : servers) server->Start();
  };
  std::optional<replace::Succession> succession;
  if (start->listener != nullptr) {
    succession.emplace(std::move(start->listener), HooksFor(workers, servers, readiness));
  }
  absl::Status outcome;
  io::Spawn(Begin(flags, std::move(start->predecessor), workers, readiness, accept, succession,
                  &outcome));
  io::Spawn(AwaitEnd(signals, flags, workers, readiness,
                     succession.has_value() ? &*succession : nullptr, servers));
  reactor.Run();

  // Death: first what posts to the workers, then the workers.
  io::Spawn(StopAll(client, **identity));
  reactor.Run();
  for (const std::unique_ptr<proxy::Worker>& worker : workers) worker->Stop();
  if (outcome.ok()) {
    WEFT_LOG_INFO("stopped");
  } else {
    WEFT_LOG_ERROR("{}", ToStd(outcome.message()));
  }
  // Connections that were cut live in coroutines that nobody resumes: the process's end frees them.
  spdlog::shutdown();
  std::_Exit(outcome.ok() ? EXIT_SUCCESS : EXIT_FAILURE);
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
