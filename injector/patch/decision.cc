#include "injector/patch/decision.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::inject {
namespace {

constexpr std::string_view kSystemNamespaces[] = {"kube-system", "kube-public", "kube-node-lease"};

struct Spelling {
  std::string_view key;
  // NGINX Service Mesh wants "enabled" in labels of namespaces and "true" in annotations of pods.
  std::vector<std::string_view> enabled, disabled;
};

const std::vector<Spelling>& Spellings() {
  static const auto& spellings = *new std::vector<Spelling>{
      {"weft.io/inject", {"enabled"}, {"disabled"}},
      {"injector.nsm.nginx.com/auto-inject", {"true", "enabled"}, {"false", "disabled"}},
  };
  return spellings;
}

bool IsOneOf(std::string_view word, const std::vector<std::string_view>& words) {
  return std::ranges::find(words, word) != words.end();
}

// Containers by which other meshes are known.
struct OtherMesh {
  std::string_view container;
  std::string_view mesh;
};
constexpr OtherMesh kOtherMeshes[] = {
    {"istio-proxy", "Istio"},
    {"linkerd-proxy", "Linkerd"},
    {"nginx-mesh-sidecar", "NGINX Service Mesh"},
    {"kuma-sidecar", "Kuma"},
    {"consul-dataplane", "Consul"},
    {"consul-connect-envoy-sidecar", "Consul"},
    {"osm-init", "Open Service Mesh"},
    {"cilium-envoy-sidecar", "Cilium"},
};

Decision Skip(std::string_view reason, std::string field, std::string message) {
  return {.verdict = Verdict::kSkip,
          .reason = reason,
          .field = std::move(field),
          .message = std::move(message),
          .warnings = {}};
}

bool HasContainer(const Json& pod, std::string_view name) {
  bool found = false;
  ForEachContainer(pod, [&](std::string_view, size_t, const Json& container) {
    found |= StringAt(container, "name") == name;
  });
  return found;
}

std::optional<OtherMesh> FindOtherMesh(const Json& pod) {
  for (const OtherMesh& other : kOtherMeshes) {
    if (HasContainer(pod, other.container)) return other;
  }
  return std::nullopt;
}

// Whether the pod ends when its work is done.
bool RunsToCompletion(const Json& pod) {
  const std::string policy = StringAt(*Find(pod, "spec"), "restartPolicy");
  return policy == "OnFailure" || policy == "Never";
}

// Reasons for which a pod that should have a sidecar gets none; they are warnings too.
std::optional<Decision> FindObstacle(const Json& pod, bool pod_asked, const Settings& settings) {
  const Json& spec = *Find(pod, "spec");
  if (BoolAt(spec, "hostNetwork", false)) {
    return Skip("host-network", "spec.hostNetwork",
                "the pod uses the host's network, whose traffic cannot be redirected; it gets no "
                "sidecar and is outside of the mesh");
  }
  const Json* os = FindPath(spec, {"os", "name"});
  if (os != nullptr && *os == "windows") {
    return Skip("windows", "spec.os.name", "sidecars run on Linux only; the pod gets none");
  }
  if (std::optional<OtherMesh> other = FindOtherMesh(pod)) {
    return Skip("other-mesh", "spec",
                absl::StrCat("the pod brings the sidecar of ", ToAbsl(other->mesh), " (container ",
                             ToAbsl(other->container),
                             "); two meshes cannot redirect one pod, so it gets none of Weft"));
  }
  if (!UsesNativeSidecar(pod, settings) && RunsToCompletion(pod) && !pod_asked) {
    return Skip("job", "spec.restartPolicy",
                "the pod would never complete beside an ordinary sidecar, so it gets none; turn "
                "native sidecars on, or annotate the pod itself with weft.io/inject: enabled");
  }
  return std::nullopt;
}

}  // namespace

Wish WishOf(const std::map<std::string, std::string>& annotations,
            const std::map<std::string, std::string>& labels, std::string_view object,
            std::vector<std::string>& warnings) {
  Wish decided;
  const std::pair<const char*, const std::map<std::string, std::string>*> places[] = {
      {"metadata.annotations", &annotations}, {"metadata.labels", &labels}};
  for (const Spelling& spelling : Spellings()) {
    for (const auto& [place, map] : places) {
      const auto it = map->find(std::string(spelling.key));
      if (it == map->end()) continue;
      const std::string field = absl::StrCat(place, "[", it->first, "]");
      const bool enabled = IsOneOf(it->second, spelling.enabled);
      if (!enabled && !IsOneOf(it->second, spelling.disabled)) {
        warnings.push_back(absl::StrCat(ToAbsl(object), ": ", field, " is \"",
                                        it->second.substr(0, 40), "\", which means nothing: use ",
                                        ToAbsl(spelling.enabled.front()), " or ",
                                        ToAbsl(spelling.disabled.front())));
        continue;
      }
      const Wish::Word word = enabled ? Wish::Word::kEnabled : Wish::Word::kDisabled;
      if (decided.word == Wish::Word::kNone) {
        decided = {word, field};
      } else if (decided.word != word) {
        warnings.push_back(absl::StrCat(ToAbsl(object), ": ", field, " contradicts ", decided.field,
                                        ", which counts"));
      }
    }
  }
  return decided;
}

bool IsExcluded(std::string_view name_space, const Settings& settings) {
  return std::ranges::find(kSystemNamespaces, name_space) != std::end(kSystemNamespaces) ||
         name_space == settings.name_space ||
         std::ranges::find(settings.excluded_namespaces, name_space) !=
             settings.excluded_namespaces.end();
}

bool UsesNativeSidecar(const Json& pod, const Settings& settings) {
  for (const Json& container : ArrayAt(*Find(pod, "spec"), "initContainers")) {
    if (StringAt(container, "restartPolicy") == "Always") return true;
  }
  return settings.native_sidecar;
}

Decision Decide(const Json& pod, const NamespaceFacts& name_space, const Settings& settings) {
  std::vector<std::string> pod_warnings;
  const Wish of_pod = WishOf(StringMap(FindPath(pod, {"metadata", "annotations"})),
                             StringMap(FindPath(pod, {"metadata", "labels"})), "pod", pod_warnings);
  std::vector<std::string> warnings;
  const Wish of_namespace = WishOf(name_space.annotations, name_space.labels,
                                   absl::StrCat("namespace ", name_space.name), warnings);
  const bool pod_asked = of_pod.word == Wish::Word::kEnabled;
  const bool pod_decides = of_pod.word != Wish::Word::kNone;
  const Wish& wish = pod_decides ? of_pod : of_namespace;
  const std::string field = wish.field.empty() || pod_decides
                                ? wish.field
                                : absl::StrCat("namespace ", name_space.name, ": ", wish.field);
  // A namespace's mistake is every pod's in it, but only where the namespace is asked.
  if (pod_decides) warnings.clear();
  warnings.insert(warnings.begin(), pod_warnings.begin(), pod_warnings.end());

  Decision decision;
  if (IsExcluded(name_space.name, settings)) {
    decision = Skip("excluded-namespace", "metadata.namespace",
                    absl::StrCat("pods of namespace ", name_space.name, " are never injected"));
    if (pod_asked) warnings.push_back(decision.message);
  } else if (HasContainer(pod, kSidecarContainer)) {
    decision = Skip("already-injected", "spec", "the pod has its sidecar already");
    const Json* status = FindPath(pod, {"metadata", "annotations", kStatusAnnotation});
    if (status == nullptr) {
      warnings.push_back(absl::StrCat("the pod has a container ", ToAbsl(kSidecarContainer),
                                      " that Weft did not add; it is left alone"));
    }
  } else if (wish.word == Wish::Word::kDisabled) {
    decision = Skip("disabled", field, absl::StrCat(field, " turns injection off"));
  } else if (wish.word == Wish::Word::kNone) {
    decision = Skip("not-enabled", "", "neither the pod nor its namespace asks for a sidecar");
  } else if (std::optional<Decision> obstacle = FindObstacle(pod, pod_asked, settings)) {
    decision = *std::move(obstacle);
    warnings.push_back(decision.message);
  } else {
    decision.verdict = Verdict::kInject;
    decision.reason = "enabled";
    decision.field = field;
    decision.message = absl::StrCat(field, " asks for a sidecar");
  }
  decision.warnings = std::move(warnings);
  return decision;
}

}  // namespace weft::inject
