#include "injector/patch/inject.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "base/version.h"
#include "injector/patch/override.h"
#include "injector/patch/probe.h"
#include "injector/patch/sidecar.h"

namespace weft::inject {
namespace {

constexpr int kOwnPorts[] = {15000, 15001, 15006, 15020, 15021};
constexpr int kMetricsPort = 15020;

Decision Refuse(std::string_view reason, std::string field, std::string message,
                std::vector<std::string> warnings) {
  return {.verdict = Verdict::kRefuse,
          .reason = reason,
          .field = std::move(field),
          .message = std::move(message),
          .warnings = std::move(warnings)};
}

// A name that Weft uses and the pod has already, as a field; nullopt if there is none.
std::optional<std::string> FindTakenName(const Json& pod) {
  std::optional<std::string> taken;
  ForEachContainer(pod, [&](std::string_view list, size_t index, const Json& container) {
    if (StringAt(container, "name") != kInitContainer) return;
    taken = absl::StrCat("spec.", ToAbsl(list), "[", index, "].name");
  });
  const Json& volumes = ArrayAt(*Find(pod, "spec"), "volumes");
  for (size_t i = 0; i < volumes.size(); ++i) {
    if (StringAt(volumes[i], "name") == kIdentityVolume) {
      taken = absl::StrCat("spec.volumes[", i, "].name");
    }
  }
  return taken;
}

// Things that work, but not as one would think.
void WarnOfTraps(const Json& pod, const NamespaceFacts& name_space, const Settings& settings,
                 std::vector<std::string>& warnings) {
  const Json& spec = *Find(pod, "spec");
  const auto runs_as_sidecar = [&settings](const Json& object) {
    const Json* user = FindPath(object, {"securityContext", "runAsUser"});
    return user != nullptr && *user == settings.uid;
  };
  if (runs_as_sidecar(spec)) {
    warnings.push_back(absl::StrCat("spec.securityContext.runAsUser is ", settings.uid,
                                    ", the sidecar's own user, whose traffic is not redirected"));
  }
  const auto mtls = FindConfig(pod, "mtls-mode");
  const bool strict = (mtls ? mtls->value : settings.mtls_mode) == "strict";
  ForEachContainer(pod, [&](std::string_view, size_t, const Json& container) {
    const std::string name = StringAt(container, "name");
    if (runs_as_sidecar(container)) {
      warnings.push_back(absl::StrCat("container ", name, " runs as user ", settings.uid,
                                      ", the sidecar's own, whose traffic is not redirected"));
    }
    for (const char* hook : {"postStart", "preStop"}) {
      if (!strict || FindPath(container, {"lifecycle", hook, "httpGet"}) == nullptr) continue;
      warnings.push_back(absl::StrCat("container ", name, ": lifecycle.", hook,
                                      ".httpGet comes in plaintext, which the mTLS mode strict "
                                      "refuses; use exec, or ignore its port"));
    }
  });
  // Pod Security admission comes later and speaks of the patched pod.
  const auto level = name_space.labels.find("pod-security.kubernetes.io/enforce");
  if (level != name_space.labels.end() && level->second != "privileged") {
    warnings.push_back(absl::StrCat("namespace ", name_space.name,
                                    " enforces the Pod Security "
                                    "level ",
                                    level->second.substr(0, 40),
                                    ", which forbids NET_ADMIN, and weft-init needs it"));
  }
}

// Which of the sidecar's ports an application claims as well.
void LookAtPorts(const Json& pod, SidecarOptions& options, std::vector<std::string>& warnings) {
  ForEachContainer(pod, [&](std::string_view, size_t, const Json& container) {
    for (const Json& port : ArrayAt(container, "ports")) {
      const Json* number = Find(port, "containerPort");
      const std::string name = StringAt(port, "name");
      if (name == "weft-metrics") options.declare_metrics_port = false;
      if (name == "weft-health") options.declare_health_port = false;
      if (number == nullptr || !number->is_number_integer()) continue;
      const auto own = std::ranges::find(kOwnPorts, number->get<int64_t>());
      if (own == std::end(kOwnPorts)) continue;
      if (*own == kMetricsPort) options.declare_metrics_port = false;
      if (*own == kHealthPort) options.declare_health_port = false;
      warnings.push_back(absl::StrCat("container ", StringAt(container, "name"), " declares port ",
                                      *own,
                                      ", which the sidecar uses itself: only one of them can"));
    }
  });
}

absl::Duration GraceOf(const Json& spec) {
  const Json* seconds = Find(spec, "terminationGracePeriodSeconds");
  if (seconds == nullptr || !seconds->is_number_integer()) return absl::Seconds(30);
  return absl::Seconds(std::clamp<int64_t>(seconds->get<int64_t>(), 0, 86400));
}

void AddPullSecrets(PodPatch& patch, const Settings& settings) {
  for (const std::string& secret : settings.image_pull_secrets) {
    const Json& present = ArrayAt(*Find(patch.pod(), "spec"), "imagePullSecrets");
    if (std::ranges::any_of(present,
                            [&](const Json& item) { return StringAt(item, "name") == secret; })) {
      continue;
    }
    patch.Require("/spec/imagePullSecrets", Json::array());
    patch.Add("/spec/imagePullSecrets/-", Json{{"name", secret}});
  }
}

void AddContainers(PodPatch& patch, const Settings& settings, const SidecarOptions& options) {
  patch.Require("/spec/initContainers", Json::array());
  if (options.native) {
    // First, so that the application's own init containers have the mesh's network.
    patch.Add("/spec/initContainers/0", InitContainer(settings));
    patch.Add("/spec/initContainers/1", SidecarContainer(settings, options));
    return;
  }
  // The sidecar only starts after all init containers: redirected earlier, they had no network.
  patch.Add("/spec/initContainers/-", InitContainer(settings));
  const std::string first = StringAt(ArrayAt(*Find(patch.pod(), "spec"), "containers")[0], "name");
  patch.Add("/spec/containers/0", SidecarContainer(settings, options));
  constexpr char kDefault[] = "kubectl.kubernetes.io/default-container";
  if (FindPath(patch.pod(), {"metadata", "annotations", kDefault}) == nullptr) {
    patch.SetMetadata("annotations", kDefault, first);
  }
}

Injection InjectChecked(const Json& pod, const NamespaceFacts& name_space,
                        const Settings& mesh_settings) {
  Injection injection;
  Settings settings = mesh_settings;
  // The decision depends on one override itself: whether the sidecar is native.
  std::vector<std::string> override_warnings;
  const std::optional<OverrideError> error = ApplyOverrides(pod, settings, override_warnings);
  injection.decision = Decide(pod, name_space, error ? mesh_settings : settings);
  Decision& decision = injection.decision;
  if (decision.verdict != Verdict::kInject) return injection;
  if (error) {
    decision =
        Refuse("annotation-invalid", error->field, error->message, std::move(decision.warnings));
    return injection;
  }
  if (std::optional<std::string> taken = FindTakenName(pod)) {
    decision = Refuse("name-taken", *taken,
                      "the name is reserved for what Weft adds to pods; use another one",
                      std::move(decision.warnings));
    return injection;
  }
  std::ranges::move(override_warnings, std::back_inserter(decision.warnings));
  WarnOfTraps(pod, name_space, settings, decision.warnings);

  PodPatch patch(pod);
  SidecarOptions options;
  options.native = UsesNativeSidecar(pod, settings);
  options.grace = GraceOf(*Find(pod, "spec"));
  LookAtPorts(pod, options, decision.warnings);
  if (settings.rewrite_probes) options.app_probes = RewriteProbes(patch, decision.warnings);
  AddContainers(patch, settings, options);
  patch.Require("/spec/volumes", Json::array());
  patch.Add("/spec/volumes/-", IdentityVolume());
  AddPullSecrets(patch, settings);
  patch.SetMetadata("labels", kMeshedLabel, "true");
  Json status = Json::object();
  status["version"] = kVersion;
  status["hash"] = SettingsHash(settings);
  status["native"] = options.native;
  patch.SetMetadata("annotations", kStatusAnnotation, Dump(status));
  injection.patch = patch.TakePatch();
  return injection;
}

}  // namespace

std::string SettingsHash(const Settings& settings) {
  SidecarOptions options;
  options.native = settings.native_sidecar;
  const std::string text =
      absl::StrCat(Dump(InitContainer(settings)), Dump(SidecarContainer(settings, options)),
                   Dump(IdentityVolume()), settings.rewrite_probes);
  // FNV-1a: not a secret, only to be told apart.
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return absl::StrFormat("%016x", hash);
}

Injection Inject(const Json& pod, const NamespaceFacts& name_space, const Settings& settings) {
  if (absl::Status shape = PodPatch::CheckShape(pod); !shape.ok()) {
    Injection injection;
    const std::string message(shape.message());
    const size_t colon = std::min(message.find(": "), message.size());
    injection.decision =
        Refuse("malformed", message.substr(0, colon), message.substr(colon + 2), {});
    return injection;
  }
  // The JSON library reports misuse by exceptions; should one of ours be left, it ends here.
  try {
    return InjectChecked(pod, name_space, settings);
  } catch (const std::exception& error) {
    Injection injection;
    injection.decision = Refuse("malformed", "spec", error.what(), {});
    return injection;
  }
}

}  // namespace weft::inject
