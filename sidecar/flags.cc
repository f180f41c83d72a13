#include "sidecar/flags.h"

#include <algorithm>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/duration_flag.h"
#include "base/strings.h"
#include "base/version.h"
#include "sidecar/limits.h"

namespace weft {
namespace {

// A pod rarely needs more than two cores' worth of proxying; who does says so.
constexpr unsigned kDefaultWorkers = 2;
constexpr unsigned kMaxWorkers = 64;

}  // namespace

std::optional<int> ParseFlags(int argc, char** argv, Flags* flags) {
  CLI::App app(
      "weft-sidecar: the proxy beside a pod's application. Encrypts what goes to other pods of the "
      "mesh, "
      "takes in what comes from them, and routes requests as the control plane says.");
  flags->workers = std::min(kDefaultWorkers, std::max(1U, std::thread::hardware_concurrency()));
  const auto text = [&](const char* name, std::string& value, const char* type, const char* help) {
    return app.add_option(name, value, help)->type_name(type);
  };
  text("--workload", flags->workload, "NAMESPACE/POD", "The pod that this sidecar stands in")
      ->check([](const std::string& value) {
        const size_t slash = value.find('/');
        const bool ok = slash != 0 && slash != std::string::npos && slash + 1 < value.size() &&
                        value.find('/', slash + 1) == std::string::npos;
        return ok ? std::string() : "\"" + value + "\" is not NAMESPACE/POD";
      });
  text("--control-plane", flags->control_plane, "HOST:PORT", "Where the control plane serves gRPC");
  text(
      "--trust-bundle", flags->trust_bundle_file, "FILE",
      "PEM certificates that the control plane's certificate may chain to (root.pem of its state)");
  text("--join-token-file", flags->join_token_file, "FILE",
       "The token that proves who this is; read again whenever it is needed");
  text("--trust-domain", flags->trust_domain, "NAME", "SPIFFE trust domain of the mesh")
      ->capture_default_str();
  app.add_option("--workers", flags->workers, "Threads that carry traffic")
      ->check(CLI::Range(1U, kMaxWorkers))
      ->capture_default_str();
  app.add_option("--outbound-port", flags->outbound_port,
                 "Takes the application's connections that iptables redirects")
      ->capture_default_str();
  app.add_option("--inbound-port", flags->inbound_port,
                 "Takes the pod's incoming connections that iptables redirects")
      ->capture_default_str();
  text("--admin-listen", flags->admin_listen, "ADDR:PORT",
       "Configuration dump, certificates, log level; keep it on loopback")
      ->capture_default_str();
  text("--metrics-listen", flags->metrics_listen, "ADDR:PORT", "Prometheus /metrics")
      ->capture_default_str();
  text("--health-listen", flags->health_listen, "ADDR:PORT", "/healthz/ready and /healthz/live")
      ->capture_default_str();
  AddLimits(app, flags);
  app.add_flag("--replace", flags->replace,
               "Take over from the sidecar that runs in this pod, if one does, without losing a "
               "connection");
  text("--log-level", flags->log_level, "LEVEL", "trace, debug, info, warn, error or off")
      ->capture_default_str();
  AddDuration(
      app, "--await-ready", absl::ZeroDuration(), {absl::ZeroDuration(), absl::Hours(24)},
      "Run no sidecar: wait until the one in this pod is ready, for so long at most",
      [flags](absl::Duration given) { flags->await_ready = absl::ToInt64Nanoseconds(given); });
  app.set_version_flag("--version", absl::StrCat("weft-sidecar ", ToAbsl(kVersion)));
  app.footer(
      "SIGTERM and SIGINT drain it and end it. Without the control plane it keeps serving what it "
      "has.");
  try {
    app.parse(argc, argv);
    if (flags->await_ready != 0) return std::nullopt;
    for (const char* name :
         {"--workload", "--control-plane", "--trust-bundle", "--join-token-file"}) {
      if (app.count(name) == 0) throw CLI::RequiredError(name);
    }
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return std::nullopt;
}

}  // namespace weft
