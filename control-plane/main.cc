// weft-control-plane: reads the mesh's objects, and tells every sidecar what it needs to know of
// them.
#include <grpc/support/log.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/duration_flag.h"
#include "base/log.h"
#include "base/spiffe_id.h"
#include "base/strings.h"
#include "base/version.h"
#include "control-plane/ca/runtime.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/state_directory.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/compiler_catalogue.h"
#include "control-plane/discovery/discovery_service.h"
#include "control-plane/discovery/hub.h"
#include "control-plane/grpc_server.h"
#include "control-plane/inspect/http_endpoint.h"
#include "control-plane/inspect/inspect_service.h"
#include "control-plane/kubernetes/leader_election.h"
#include "control-plane/kubernetes/reporter.h"
#include "control-plane/metrics.h"
#include "control-plane/source/source.h"

namespace weft {
namespace {

constexpr absl::Duration kShutdownGrace = absl::Seconds(3);

struct Options {
  std::string source;
  std::string state;
  std::string listen = "[::]:15012";
  std::string http_listen = "[::]:15014";
  std::string trust_domain = "cluster.local";
  absl::Duration leaf_lifetime = absl::Hours(1);
  absl::Duration rotation_settle = absl::Seconds(15);
  absl::Duration push_debounce = absl::Milliseconds(20);
  std::string name_space = std::string(ca::kDefaultNamespace);
  std::string replica;
  absl::Duration lease_duration = absl::Seconds(15);
  ca::Supplied supplied;
  std::vector<std::string> injector_dns_names;
  std::string log_level = "info";
};

// Where it stands among others, and whose certificates it signs with.
void DeclareIdentity(CLI::App& app, Options& options) {
  app.add_option("--namespace", options.name_space,
                 "Kubernetes namespace of the control plane, its Secrets and its Lease")
      ->type_name("NAMESPACE")
      ->capture_default_str();
  app.add_option("--replica", options.replica,
                 "Name of this replica, that of its pod; without it, that of the machine")
      ->type_name("NAME");
  app.add_option("--ca-secret", options.supplied.secret,
                 "Sign with an intermediate of yours: a Secret of type kubernetes.io/tls with "
                 "tls.crt, tls.key and ca.crt, followed while it is renewed")
      ->type_name("[NAMESPACE/]NAME");
  app.add_option("--ca-certificate", options.supplied.certificate,
                 "The same from files: the intermediate and what is between it and its root")
      ->type_name("FILE");
  app.add_option("--ca-key", options.supplied.key, "Its key")->type_name("FILE");
  app.add_option("--ca-roots", options.supplied.roots, "What everybody is to trust")
      ->type_name("FILE");
  app.add_option("--injector-dns-name", options.injector_dns_names,
                 "DNS name in certificates of the service account weft-injector; may be repeated. "
                 "Without it: those of Service weft-injector")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void Declare(CLI::App& app, Options& options) {
  app.add_option(
         "--source", options.source,
         "Where the mesh's objects come from. dir:PATH: a directory of Kubernetes and SMI "
         "manifests (*.yaml, *.yml, *.json), followed while it changes. kubernetes: the API "
         "server of the cluster that this pod runs in. kubernetes:KUBECONFIG: that of the "
         "file's current context")
      ->type_name("dir:PATH|kubernetes[:KUBECONFIG]");
  app.add_option(
         "--state", options.state,
         "Directory for what outlives the process: the mesh's root (ca.pem, root.pem), join "
         "tokens, the operator token. Created if missing; must be writable by its owner only")
      ->type_name("DIR");
  app.add_option("--listen", options.listen, "gRPC over TLS: discovery, certificates, inspection")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--http-listen", options.http_listen,
                 "Plain HTTP: /metrics, /healthz/ready, /healthz/live")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--trust-domain", options.trust_domain,
                 "SPIFFE trust domain of all identities of the mesh")
      ->type_name("NAME")
      ->capture_default_str();
  const auto duration = [&app](const char* name, absl::Duration& value, DurationRange range,
                               const char* help) {
    AddDuration(app, name, value, range, help, [&value](absl::Duration given) { value = given; });
  };
  duration("--leaf-lifetime", options.leaf_lifetime, {absl::Seconds(2), absl::Hours(24 * 30)},
           "Lifetime of workload certificates");
  duration("--rotation-settle", options.rotation_settle, {absl::Seconds(2), absl::Hours(24)},
           "How long each step of a rotation of the root lasts at least");
  duration("--lease-duration", options.lease_duration, {absl::Seconds(1), absl::Minutes(5)},
           "In Kubernetes: how long a leader that has gone silent is waited for; whole seconds");
  duration("--push-debounce", options.push_debounce, {absl::ZeroDuration(), absl::Seconds(10)},
           "How long to gather changes before they are sent");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  DeclareIdentity(app, options);
  app.set_version_flag("--version", absl::StrCat("weft-control-plane ", ToAbsl(kVersion)));
  app.footer(
      "Sidecars join with tokens that \"meshctl token create\" makes in the state directory.\n"
      "SIGTERM and SIGINT end it; connected sidecars keep serving what they have.");
}

// Brings the gauges up to date that nobody keeps up to date.
void MeasureMesh(const inspect::About& about, const compile::Compiler& compiler, Metrics& metrics) {
  const auto count = [](const std::vector<v1::Finding>& findings, v1::Finding::Severity severity) {
    return static_cast<double>(std::ranges::count(findings, severity, &v1::Finding::severity));
  };
  const std::vector<v1::Finding> all = inspect::AllFindings(about, compiler);
  metrics.Findings("warning").Set(count(all, v1::Finding::WARNING));
  metrics.Findings("error").Set(count(all, v1::Finding::ERROR));
  metrics.source_errors.Set(count(about.source_findings(), v1::Finding::ERROR));
  const compile::Compiler::Counts counts = compiler.GetCounts();
  metrics.services.Set(counts.services);
  metrics.endpoints.Set(counts.endpoints);
}

// Waits for SIGTERM or SIGINT, which every thread has blocked.
int AwaitSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// Waits until the source has been read, so that no sidecar is told that something does not exist
// only because it has not been read yet. False if a signal came first.
bool AwaitSource(const source::Source& source, const sigset_t& signals) {
  constexpr timespec kLook = {.tv_sec = 0, .tv_nsec = 20'000'000};
  while (!source.Missing().empty()) {
    if (sigtimedwait(&signals, nullptr, &kLook) > 0) return false;
  }
  return true;
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "control-plane";
}

// gRPC's own words, which are about connections that come to nothing, in our format.
void LogForGrpc(gpr_log_func_args* line) {
  if (line->severity == GPR_LOG_SEVERITY_ERROR) {
    WEFT_LOG_WARN("grpc: {}", std::string_view(line->message).substr(0, 1000));
  } else {
    WEFT_LOG_DEBUG("grpc: {}", std::string_view(line->message).substr(0, 1000));
  }
}

absl::Status Run(const Options& options) {
  if (absl::Status logging = InitLogging(options.log_level); !logging.ok()) return logging;
  gpr_set_log_function(LogForGrpc);
  // Debian's Abseil looks for deadlocks at every lock, under one lock of its own: a tenth of all
  // CPU time of a push to many sidecars.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // The identity layout is how a trust domain is checked.
  if (absl::Status valid =
          SpiffeId::Parse(ca::ControlPlaneIdentity(options.trust_domain).ToString()).status();
      !valid.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--trust-domain: ", valid.message()));
  }
  absl::StatusOr<source::SourceAddress> address = source::SourceAddress::Parse(options.source);
  if (!address.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--source ", address.status().message()));
  }
  if (options.state.empty()) return absl::InvalidArgumentError("--state DIR is needed");

  // Threads inherit the mask: signals reach nobody but AwaitSignal.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  // The API server's client, in a cluster.
  absl::StatusOr<std::unique_ptr<kubernetes::Client>> kubernetes = source::OpenKubernetes(*address);
  if (!kubernetes.ok()) {
    return absl::Status(kubernetes.status().code(),
                        absl::StrCat("--source: ", kubernetes.status().message()));
  }

  // What outlives the process.
  absl::StatusOr<ca::StateDirectory> state = ca::StateDirectory::Open(options.state);
  if (!state.ok()) return state.status();
  Metrics metrics;
  const std::string replica = options.replica.empty() ? HostName() : options.replica;
  std::unique_ptr<cluster::LeaderElection> election;
  if (*kubernetes != nullptr) {
    election = std::make_unique<cluster::LeaderElection>(
        **kubernetes,
        cluster::LeaseOptions{.name_space = options.name_space,
                              .identity = replica,
                              .duration = options.lease_duration},
        nullptr);
  }
  absl::StatusOr<std::unique_ptr<ca::Runtime>> ca = ca::Runtime::Open(
      *state,
      {.authority = {.trust_domain = options.trust_domain, .leaf_lifetime = options.leaf_lifetime},
       .rotation = {.settle = options.rotation_settle},
       .name_space = options.name_space,
       .replica = replica,
       .is_leader = [&election] { return election == nullptr || election->IsLeader(); },
       .client = kubernetes->get(),
       .supplied = options.supplied,
       .injector_dns_names = options.injector_dns_names},
      metrics, absl::Now());
  if (!ca.ok()) return ca.status();

  // Objects in, resources out.
  compile::Compiler compiler({.trust_domain = options.trust_domain,
                              .cluster_domain = "cluster.local",
                              .awaits_pods = *kubernetes != nullptr});
  CompilerCatalogue catalogue(compiler);
  discovery::Hub hub(
      catalogue, metrics,
      {.trust_domain = options.trust_domain, .push_debounce = options.push_debounce, .limits = {}});
  compiler.SetListener(
      [&hub](const std::vector<compile::ResourceKey>& keys) { hub.OnChanged(keys); });
  absl::StatusOr<std::unique_ptr<source::Source>> source = source::OpenSource(
      *address, kubernetes->get(),
      [&compiler](std::vector<store::Update> updates) { compiler.Apply(std::move(updates)); },
      metrics);
  if (!source.ok()) return source.status();

  const inspect::About about{
      .source = options.source,
      .trust_domain = options.trust_domain,
      .started = absl::Now(),
      .root_not_after = [&ca] { return (*ca)->authority().RootNotAfter(); },
      .source_findings =
          [&source, &ca] {
            std::vector<v1::Finding> findings = (*source)->Findings();
            for (v1::Finding& finding : (*ca)->Findings()) findings.push_back(std::move(finding));
            return findings;
          },
  };

  // Health and metrics, from the first moment on.
  std::atomic<bool> serving = false, draining = false;
  const auto ready = [&]() -> inspect::HttpEndpoint::Answer {
    if (draining) return {.code = 503, .body = "shutting down\n"};
    if (const std::vector<std::string> missing = (*source)->Missing(); !missing.empty()) {
      return {.code = 503,
              .body = absl::StrCat("not read yet: ", absl::StrJoin(missing, ", "), "\n")};
    }
    if (!serving) return {.code = 503, .body = "starting\n"};
    return {.body = "ready\n"};
  };
  absl::StatusOr<std::unique_ptr<inspect::HttpEndpoint>> http = inspect::HttpEndpoint::Start(
      options.http_listen,
      {{"/metrics",
        [&] {
          MeasureMesh(about, compiler, metrics);
          metrics.leader.Set(election == nullptr || election->IsLeader() ? 1 : 0);
          return inspect::HttpEndpoint::Answer{
              .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.Text()};
        }},
       {"/healthz/ready", ready},
       {"/healthz/live", [] { return inspect::HttpEndpoint::Answer{.body = "live\n"}; }}});
  if (!http.ok()) {
    return absl::Status(http.status().code(),
                        absl::StrCat("--http-listen: ", http.status().message()));
  }
  if (!AwaitSource(**source, signals)) return absl::OkStatus();

  // Services.
  if (absl::Status started = (*ca)->Start(compiler, hub); !started.ok()) return started;
  const absl::Cleanup stop_ca = [&ca] { (*ca)->Stop(); };  // before what it works on goes
  discovery::DiscoveryService discovery_service(hub);
  inspect::InspectService inspect_service(compiler, hub, (*ca)->operator_token(), about);
  std::vector<grpc::Service*> services = (*ca)->Services();
  services.push_back(&discovery_service);
  services.push_back(&inspect_service);
  absl::StatusOr<std::unique_ptr<GrpcServer>> server =
      GrpcServer::Start(options.listen, (*ca)->Credentials(), services);
  if (!server.ok())
    return absl::Status(server.status().code(),
                        absl::StrCat("--listen: ", server.status().message()));

  // What users are told of their objects, by the leader.
  std::unique_ptr<cluster::Reporter> reporter;
  if (election != nullptr) {
    reporter = std::make_unique<cluster::Reporter>(
        **kubernetes, replica,
        cluster::ReporterSources{.leads = [&election] { return election->IsLeader(); },
                                 .revision = [&compiler] { return compiler.Revision(); },
                                 .reviews = [&compiler] { return compiler.Reviews(); }},
        metrics);
  }

  serving = true;
  const compile::Compiler::Counts counts = compiler.GetCounts();
  WEFT_LOG_INFO("weft-control-plane {} serves trust domain {} from {}: {} services, {} pods",
                kVersion, options.trust_domain, options.source, counts.services, counts.pods);

  const int signal = AwaitSignal(signals);
  WEFT_LOG_INFO("{}: shutting down", signal == SIGTERM ? "SIGTERM" : "SIGINT");
  draining = true;
  if (election != nullptr) election->Resign();
  hub.Drain();
  (*server)->Shutdown(kShutdownGrace);
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  CLI::App app("The control plane of the Weft service mesh.", "weft-control-plane");
  weft::Options options;
  weft::Declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  const absl::Status status = weft::Run(options);
  if (status.ok()) return 0;
  std::cerr << "weft-control-plane: " << status.message() << std::endl;
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
