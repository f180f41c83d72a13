// weft-injector: the admission webhook that puts sidecars into pods and checks what users write.
#include <grpc/support/log.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/duration_flag.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "base/kubernetes/status.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "injector/patch/settings.h"
#include "injector/webhook/ca_bundle.h"
#include "injector/webhook/identity.h"
#include "injector/webhook/mutate.h"
#include "injector/webhook/namespaces.h"
#include "injector/webhook/server.h"
#include "injector/webhook/settings_file.h"
#include "injector/webhook/signer.h"
#include "injector/webhook/validate.h"

namespace weft {
namespace {

constexpr absl::Duration kServiceTimeout = absl::Seconds(2);
constexpr size_t kMaxServiceBytes = 2 << 20;

struct Options {
  std::string name_space = "weft-system";
  std::string settings;
  std::string control_plane;
  std::string trust_bundle = "/var/run/weft/root.pem";
  std::string join_token_file = "/var/run/weft/token";
  std::string trust_domain;
  std::string workload;
  std::string name = "weft-injector";
  std::string kubeconfig;
  std::string listen = "[::]:8443";
  std::string http_listen = "[::]:8080";
  absl::Duration drain_delay = absl::Seconds(5);
  std::string log_level = "info";
};

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Declare(CLI::App& app, Options& options) {
  app.add_option("--namespace", options.name_space,
                 "The mesh's own namespace; its pods are never injected")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--settings", options.settings,
                 "Injection settings (YAML or JSON), read again when they change; without it the "
                 "defaults hold")
      ->type_name("FILE");
  app.add_option("--control-plane", options.control_plane,
                 "Where the mesh's CA is asked for the serving certificate; default: "
                 "weft-control-plane of the mesh's namespace, port 15012")
      ->type_name("HOST:PORT");
  app.add_option("--trust-bundle", options.trust_bundle, "The mesh's roots, PEM")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_option("--join-token-file", options.join_token_file,
                 "Service-account token for the audience \"weft\"")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_option("--trust-domain", options.trust_domain,
                 "SPIFFE trust domain of the mesh; default: as the settings say")
      ->type_name("NAME");
  app.add_option("--workload", options.workload,
                 "Our own pod; default: from POD_NAMESPACE and POD_NAME")
      ->type_name("NAMESPACE/POD");
  app.add_option("--webhook-configuration", options.name,
                 "Name of the webhook configurations whose caBundle is kept, and of our Service")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--kubeconfig", options.kubeconfig,
                 "How to reach the API server; default: as every pod does")
      ->type_name("FILE");
  app.add_option("--listen", options.listen, "HTTPS: /mutate, /validate")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--http-listen", options.http_listen,
                 "Plain HTTP: /metrics, /healthz/ready, /healthz/live")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  AddDuration(
      app, "--drain-delay", options.drain_delay, {absl::ZeroDuration(), absl::Minutes(5)},
      "After SIGTERM, how long to keep answering while API servers learn that this pod goes",
      [&options](absl::Duration given) { options.drain_delay = given; });
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.set_version_flag("--version", absl::StrCat("weft-injector ", ToAbsl(kVersion)));
  app.footer("SIGTERM and SIGINT end it once the reviews under way are answered.");
}

void Complete(Options& options) {
  if (options.control_plane.empty()) {
    options.control_plane = absl::StrCat("weft-control-plane.", options.name_space, ".svc:15012");
  }
  if (options.workload.empty()) {
    const std::string name_space = FromEnvironment("POD_NAMESPACE");
    options.workload = absl::StrCat(name_space.empty() ? options.name_space : name_space, "/",
                                    FromEnvironment("POD_NAME"));
  }
}

absl::StatusOr<std::unique_ptr<kubernetes::Client>> Connect(const std::string& kubeconfig) {
  absl::StatusOr<kubernetes::Config> config = kubeconfig.empty()
                                                  ? kubernetes::Config::InCluster()
                                                  : kubernetes::Config::FromKubeconfig(kubeconfig);
  if (!config.ok()) return config.status();
  return kubernetes::Client::Create(*std::move(config));
}

// Gets a Service for the validating webhook.
webhook::ServiceLookup LookUpServices(kubernetes::Client& client) {
  return [&client](const std::string& name_space,
                   const std::string& name) -> absl::StatusOr<std::string> {
    absl::StatusOr<kubernetes::Response> response =
        client.Call({.path = absl::StrCat("/api/v1/namespaces/", kubernetes::EscapeUrl(name_space),
                                          "/services/", kubernetes::EscapeUrl(name)),
                     .timeout = kServiceTimeout,
                     .max_response_bytes = kMaxServiceBytes});
    if (!response.ok()) return response.status();
    if (absl::Status status =
            kubernetes::StatusOf(*response, "get", absl::StrCat("services ", name));
        !status.ok()) {
      return status;
    }
    return std::move(response->body);
  };
}

// Waits for SIGTERM or SIGINT, then is no longer ready, and ends after the delay or at a second
// signal.
void AwaitEnd(const sigset_t& signals, absl::Duration drain_delay, std::atomic<bool>& draining) {
  int signal = 0;
  sigwait(&signals, &signal);
  WEFT_LOG_INFO("draining for {}", absl::FormatDuration(drain_delay));
  draining = true;
  const timespec patience = absl::ToTimespec(drain_delay);
  sigtimedwait(&signals, nullptr, &patience);
}

// SIGTERM and SIGINT are taken by whoever waits for them; called before there are threads.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

absl::Status Run(Options options) {
  if (absl::Status logging = InitLogging(options.log_level); !logging.ok()) return logging;
  const sigset_t signals = BlockSignals();
  Complete(options);
  const webhook::SettingsSource settings_source{.path = options.settings,
                                                .name_space = options.name_space,
                                                .trust_domain = options.trust_domain};
  absl::StatusOr<inject::Settings> settings = webhook::ReadSettings(settings_source);
  if (!settings.ok()) return settings.status();
  absl::StatusOr<std::unique_ptr<kubernetes::Client>> client = Connect(options.kubeconfig);
  if (!client.ok()) return client.status();

  // What reviews are answered with.
  webhook::Metrics metrics;
  webhook::WatchedNamespaces namespaces(**client, metrics);
  webhook::Mutator mutator(*std::move(settings), namespaces, metrics);
  webhook::SettingsFile settings_file(settings_source, mutator, metrics);
  const webhook::Validator validator(LookUpServices(**client), metrics);

  // How the API server knows that it is us.
  webhook::ControlPlaneSigner signer({.control_plane = options.control_plane,
                                      .trust_bundle_file = options.trust_bundle,
                                      .token_file = options.join_token_file,
                                      .workload = options.workload});
  webhook::ServingIdentity identity(
      {.trust_bundle_file = options.trust_bundle,
       .dns_name = absl::StrCat(options.name, ".", options.name_space, ".svc")},
      signer, metrics);
  webhook::CaBundleWriter ca_bundle(
      **client, options.name, [&] { return identity.Roots(); }, metrics);

  // The doors.
  absl::StatusOr<std::unique_ptr<webhook::Server>> https = webhook::Server::StartWebhook(
      options.listen, [&] { return identity.Current(); },
      [&](const webhook::Review& review) { return mutator.Decide(review); },
      [&](const webhook::Review& review) { return validator.Decide(review); }, metrics);
  if (!https.ok()) return https.status();
  std::atomic<bool> draining = false;
  absl::StatusOr<std::unique_ptr<webhook::Server>> http = webhook::Server::StartHealth(
      options.http_listen,
      [&]() -> std::string {
        if (draining) return "draining";
        if (!identity.Usable()) return "there is no serving certificate yet";
        if (!namespaces.Settled()) return "the namespaces are not known yet";
        if (!ca_bundle.Written()) return "caBundle is not written yet";
        return "";
      },
      metrics);
  if (!http.ok()) return http.status();
  WEFT_LOG_INFO("weft-injector {} as {}, HTTPS on port {}, HTTP on port {}", kVersion,
                options.workload, (*https)->port(), (*http)->port());
  AwaitEnd(signals, options.drain_delay, draining);
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  // Failed connections are reported by us, in our own words.
  gpr_set_log_function([](gpr_log_func_args*) {});
  weft::Options options;
  CLI::App app(
      "Puts the Weft sidecar into pods, and checks the mesh's objects as they are written.",
      "weft-injector");
  weft::Declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = weft::Run(std::move(options));
  if (status.ok()) return 0;
  std::cerr << "weft-injector: " << status.message() << std::endl;
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
