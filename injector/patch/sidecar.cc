#include "injector/patch/sidecar.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"
#include "injector/patch/decision.h"
#include "injector/patch/probe.h"

namespace weft::inject {
namespace {

constexpr char kIdentityDirectory[] = "/var/run/weft";
constexpr char kReadyPath[] = "/healthz/ready";
constexpr int kMetricsPort = 15020;
constexpr int kTokenSeconds = 3600;
// The control plane may have to come up first, as may the Secret or ConfigMap that it writes.
constexpr int kStartupSeconds = 300;

// Whatever the pod demands of its containers, these are what the two need; each is said here so
// that no default of the pod's gets in its way.
Json SecurityContext(bool root, uint32_t uid) {
  Json context = Json::object();
  context["runAsUser"] = uid;
  context["runAsGroup"] = uid;
  context["runAsNonRoot"] = !root;
  context["privileged"] = false;
  context["allowPrivilegeEscalation"] = false;
  context["readOnlyRootFilesystem"] = true;
  Json capabilities = Json::object();
  if (root) capabilities["add"] = {"NET_ADMIN", "NET_RAW"};
  capabilities["drop"] = {"ALL"};
  context["capabilities"] = std::move(capabilities);
  context["seccompProfile"] = {{"type", "RuntimeDefault"}};
  return context;
}

Json HttpProbe(int period_seconds, int failures) {
  Json get = Json::object();
  get["path"] = kReadyPath;
  get["port"] = kHealthPort;
  get["scheme"] = "HTTP";
  Json probe = Json::object();
  probe["httpGet"] = std::move(get);
  probe["periodSeconds"] = period_seconds;
  probe["timeoutSeconds"] = 3;
  probe["failureThreshold"] = failures;
  return probe;
}

Json Variable(const char* name, const char* field) {
  Json variable = Json::object();
  variable["name"] = name;
  variable["valueFrom"]["fieldRef"]["apiVersion"] = "v1";
  variable["valueFrom"]["fieldRef"]["fieldPath"] = field;
  return variable;
}

Json Environment(const Json& app_probes) {
  Json environment = Json::array();
  environment.push_back(Variable("POD_NAME", "metadata.name"));
  environment.push_back(Variable("POD_NAMESPACE", "metadata.namespace"));
  environment.push_back(Variable("POD_IP", "status.podIP"));
  if (!app_probes.empty()) {
    Json probes = Json::object();
    probes["name"] = "WEFT_APP_PROBES";
    // Kubernetes expands $(NAME) in values; JSON has another way to write a dollar.
    probes["value"] = absl::StrReplaceAll(Dump(app_probes), {{"$", "\\u0024"}});
    environment.push_back(std::move(probes));
  }
  return environment;
}

Json Port(const char* name, int port) {
  Json declared = Json::object();
  declared["name"] = name;
  declared["containerPort"] = port;
  declared["protocol"] = "TCP";
  return declared;
}

Json SidecarArguments(const Settings& settings, const SidecarOptions& options) {
  const Drain drain = DrainWithin(options.grace, options.native, settings);
  Json arguments = {
      "--workload=$(POD_NAMESPACE)/$(POD_NAME)",
      absl::StrCat("--control-plane=", settings.control_plane),
      absl::StrCat("--trust-bundle=", kIdentityDirectory, "/root.pem"),
      absl::StrCat("--join-token-file=", kIdentityDirectory, "/token"),
      absl::StrCat("--trust-domain=", settings.trust_domain),
      absl::StrCat("--drain-delay=", absl::FormatDuration(drain.delay)),
      absl::StrCat("--drain-timeout=", absl::FormatDuration(drain.timeout)),
      absl::StrCat("--log-level=", settings.log_level),
  };
  if (settings.workers > 0) arguments.push_back(absl::StrCat("--workers=", settings.workers));
  return arguments;
}

}  // namespace

Drain DrainWithin(absl::Duration grace, bool native, const Settings& settings) {
  const absl::Duration margin = std::min(absl::Seconds(2), grace / 4);
  const absl::Duration available =
      absl::Trunc(std::max(grace - margin, absl::ZeroDuration()), absl::Milliseconds(100));
  Drain drain;
  drain.delay =
      native ? absl::ZeroDuration()
             : std::min(settings.drain_delay, absl::Trunc(available / 2, absl::Milliseconds(100)));
  drain.timeout = std::min(settings.drain_timeout, available - drain.delay);
  return drain;
}

Json InitContainer(const Settings& settings) {
  Json arguments = Json::array({absl::StrCat("--proxy-uid=", settings.uid)});
  const std::pair<const char*, const std::string*> flags[] = {
      {"--ignore-incoming-ports=", &settings.ignore_incoming_ports},
      {"--ignore-outgoing-ports=", &settings.ignore_outgoing_ports},
      {"--ignore-outgoing-cidrs=", &settings.ignore_outgoing_cidrs}};
  for (const auto& [flag, value] : flags) {
    if (!value->empty()) arguments.push_back(absl::StrCat(flag, *value));
  }
  if (settings.ipv6 != "auto") arguments.push_back(absl::StrCat("--ipv6=", settings.ipv6));
  if (settings.iptables != "auto") {
    arguments.push_back(absl::StrCat("--backend=", settings.iptables));
  }
  Json container = Json::object();
  container["name"] = kInitContainer;
  container["image"] = settings.image;
  container["imagePullPolicy"] = settings.image_pull_policy;
  container["command"] = {"/usr/bin/weft-init"};
  container["args"] = std::move(arguments);
  // Legacy iptables writes its lock into /run, which is read-only here; /dev/shm is not.
  Json lock = Json::object();
  lock["name"] = "XTABLES_LOCKFILE";
  lock["value"] = "/dev/shm/weft-xtables.lock";
  container["env"] = Json::array({std::move(lock)});
  container["resources"] = settings.init_resources.ToJson();
  container["securityContext"] = SecurityContext(/*root=*/true, 0);
  return container;
}

Json SidecarContainer(const Settings& settings, const SidecarOptions& options) {
  Json container = Json::object();
  container["name"] = kSidecarContainer;
  container["image"] = settings.image;
  container["imagePullPolicy"] = settings.image_pull_policy;
  container["command"] = {"/usr/bin/weft-sidecar"};
  container["args"] = SidecarArguments(settings, options);
  container["env"] = Environment(options.app_probes);
  Json ports = Json::array();
  if (options.declare_metrics_port) ports.push_back(Port("weft-metrics", kMetricsPort));
  if (options.declare_health_port) ports.push_back(Port("weft-health", kHealthPort));
  if (!ports.empty()) container["ports"] = std::move(ports);
  if (options.native) {
    container["restartPolicy"] = "Always";
  } else {
    // Containers start in order, and each waits for the hook of the one before: the application
    // comes up with a working network. A hook by HTTP would not do, it asks only once.
    container["lifecycle"]["postStart"]["exec"]["command"] = {"/usr/bin/weft-sidecar",
                                                              "--await-ready=2m"};
  }
  container["startupProbe"] = HttpProbe(1, kStartupSeconds);
  container["readinessProbe"] = HttpProbe(5, 3);
  container["resources"] = settings.sidecar_resources.ToJson();
  container["securityContext"] = SecurityContext(/*root=*/false, settings.uid);
  Json mount = Json::object();
  mount["name"] = kIdentityVolume;
  mount["mountPath"] = kIdentityDirectory;
  mount["readOnly"] = true;
  container["volumeMounts"] = Json::array({std::move(mount)});
  return container;
}

Json IdentityVolume() {
  Json token = Json::object();
  token["audience"] = "weft";
  token["expirationSeconds"] = kTokenSeconds;
  token["path"] = "token";
  Json roots = Json::object();
  roots["name"] = "weft-root";
  roots["items"] = Json::array({{{"key", "root.pem"}, {"path", "root.pem"}}});
  Json volume = Json::object();
  volume["name"] = kIdentityVolume;
  volume["projected"]["sources"] =
      Json::array({Json{{"serviceAccountToken", token}}, Json{{"configMap", roots}}});
  return volume;
}

}  // namespace weft::inject
