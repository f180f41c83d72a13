#include "injector/patch/override.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/options.h"

namespace weft::inject {
namespace {

struct Override {
  std::string_view name;
  absl::Status (*apply)(std::string_view value, Settings& settings);
};

constexpr Override kOverrides[] = {
    {"sidecar-image",
     [](std::string_view value, Settings& settings) -> absl::Status {
       if (value.empty() || value.size() > 512 ||
           value.find_first_of(" \t\r\n") != std::string_view::npos) {
         return absl::InvalidArgumentError("expected the name of an image");
       }
       settings.image = value;
       return absl::OkStatus();
     }},
    {"sidecar-image-pull-policy",
     [](std::string_view value, Settings& settings) {
       return SetWord(value, kPullPolicies, settings.image_pull_policy);
     }},
    {"sidecar-cpu-request",
     [](std::string_view value, Settings& settings) {
       return SetQuantity(value, settings.sidecar_resources.cpu_request);
     }},
    {"sidecar-cpu-limit",
     [](std::string_view value, Settings& settings) {
       return SetQuantity(value, settings.sidecar_resources.cpu_limit);
     }},
    {"sidecar-memory-request",
     [](std::string_view value, Settings& settings) {
       return SetQuantity(value, settings.sidecar_resources.memory_request);
     }},
    {"sidecar-memory-limit",
     [](std::string_view value, Settings& settings) {
       return SetQuantity(value, settings.sidecar_resources.memory_limit);
     }},
    {"sidecar-log-level",
     [](std::string_view value, Settings& settings) {
       return SetWord(value, kLogLevels, settings.log_level);
     }},
    {"sidecar-workers", [](std::string_view value,
                           Settings& settings) { return SetWorkers(value, settings.workers); }},
    {"native-sidecar", [](std::string_view value,
                          Settings& settings) { return SetBool(value, settings.native_sidecar); }},
    {"rewrite-probes", [](std::string_view value,
                          Settings& settings) { return SetBool(value, settings.rewrite_probes); }},
    {"drain-delay", [](std::string_view value,
                       Settings& settings) { return SetDuration(value, settings.drain_delay); }},
    {"drain-timeout",
     [](std::string_view value, Settings& settings) {
       return SetDuration(value, settings.drain_timeout);
     }},
    {"ignore-incoming-ports",
     [](std::string_view value, Settings& settings) {
       return SetPorts(value, settings.ignore_incoming_ports);
     }},
    {"ignore-outgoing-ports",
     [](std::string_view value, Settings& settings) {
       return SetPorts(value, settings.ignore_outgoing_ports);
     }},
    {"ignore-outgoing-cidrs",
     [](std::string_view value, Settings& settings) {
       return SetNetworks(value, settings.ignore_outgoing_cidrs);
     }},
};

// Those that other programs act upon.
constexpr std::string_view kElsewhere[] = {"mtls-mode", "opaque-ports", "client-max-body-size",
                                           "lb-method"};

bool IsKnown(std::string_view name) {
  return std::ranges::find(kElsewhere, name) != std::end(kElsewhere) ||
         std::ranges::any_of(kOverrides,
                             [name](const Override& known) { return known.name == name; });
}

void WarnOfUnknown(const Json& pod, std::vector<std::string>& warnings) {
  constexpr std::string_view kPrefix = "config.weft.io/";
  for (const auto& [key, value] : StringMap(FindPath(pod, {"metadata", "annotations"}))) {
    if (!key.starts_with(kPrefix) || IsKnown(std::string_view(key).substr(kPrefix.size())))
      continue;
    warnings.push_back(absl::StrCat("metadata.annotations[", key.substr(0, 80),
                                    "]: there is no such annotation; it has no effect"));
  }
}

// What the control plane would say about the annotations that it acts upon.
void CheckElsewhere(const Json& pod, const Settings& settings, std::vector<std::string>& warnings) {
  k8s::ObjectMeta meta;
  for (const auto& [key, value] : StringMap(FindPath(pod, {"metadata", "annotations"}))) {
    (*meta.mutable_annotations())[key] = value;
  }
  compile::FindingSink findings;
  compile::TightenedMtlsMode(
      compile::ParseMtlsMode(settings.mtls_mode).value_or(weft::v1::MTLS_MODE_PERMISSIVE), meta,
      "pod", findings);
  compile::OpaquePortsOf(meta, "pod", findings);
  compile::ClientMaxBodyBytesOf(meta, "pod", findings);
  for (const weft::v1::Finding& finding : findings.Take()) {
    warnings.push_back(absl::StrCat(finding.field(), ": ", finding.message()));
  }
}

}  // namespace

std::optional<OverrideError> ApplyOverrides(const Json& pod, Settings& settings,
                                            std::vector<std::string>& warnings) {
  for (const Override& known : kOverrides) {
    const std::optional<ConfigAnnotation> annotation = FindConfig(pod, known.name);
    if (!annotation) continue;
    const std::string value(absl::StripAsciiWhitespace(annotation->value));
    if (absl::Status status = known.apply(value, settings); !status.ok()) {
      return OverrideError{annotation->field, std::string(status.message())};
    }
  }
  if (absl::Status status = CheckResources(settings.sidecar_resources); !status.ok()) {
    return OverrideError{"metadata.annotations[config.weft.io/sidecar-*]",
                         absl::StrCat("with the mesh's defaults, ", status.message())};
  }
  WarnOfUnknown(pod, warnings);
  CheckElsewhere(pod, settings, warnings);
  return std::nullopt;
}

}  // namespace weft::inject
