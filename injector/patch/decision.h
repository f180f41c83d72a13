// Whether a pod gets a sidecar.
#ifndef WEFT_INJECTOR_PATCH_DECISION_H_
#define WEFT_INJECTOR_PATCH_DECISION_H_

#include <string>
#include <string_view>
#include <vector>

#include "injector/patch/pod.h"
#include "injector/patch/settings.h"

namespace weft::inject {

inline constexpr std::string_view kInitContainer = "weft-init";
inline constexpr std::string_view kSidecarContainer = "weft-sidecar";
inline constexpr std::string_view kIdentityVolume = "weft-identity";
inline constexpr std::string_view kStatusAnnotation = "weft.io/status";
inline constexpr std::string_view kMeshedLabel = "weft.io/meshed";

enum class Verdict {
  kInject,
  kSkip,    // the pod stays as it is
  kRefuse,  // it was to be injected but cannot be: what it says makes no sense
};

struct Decision {
  Verdict verdict = Verdict::kSkip;
  std::string_view reason;  // stable, kebab-case: "host-network"; for metrics and summaries
  std::string field;        // the field that decided; empty if none did
  std::string message;      // for a person
  std::vector<std::string> warnings;
};

// What an object's annotations and labels say about injection ("weft.io/inject: enabled|disabled",
// "injector.nsm.nginx.com/auto-inject: true|false"). The annotation beats the label, Weft's
// spelling beats NGINX Service Mesh's; contradictions and words that mean nothing are warnings.
struct Wish {
  enum class Word { kNone, kEnabled, kDisabled } word = Word::kNone;
  std::string field;  // what said so: "metadata.annotations[weft.io/inject]"
};
Wish WishOf(const std::map<std::string, std::string>& annotations,
            const std::map<std::string, std::string>& labels, std::string_view object,
            std::vector<std::string>& warnings);

// Whether pods of the namespace are never injected, whatever they and it say: Kubernetes' own, the
// mesh's own, and those the settings exclude.
bool IsExcluded(std::string_view name_space, const Settings& settings);

// Whether the pod will run the sidecar as an init container that restarts always: as the settings
// or its annotation say; and always if it has such a container of its own, since then the cluster
// knows them and an ordinary sidecar would start too late for it.
bool UsesNativeSidecar(const Json& pod, const Settings& settings);

// Decides. `pod` has passed PodPatch::CheckShape. A pod that is not to be injected yields no
// warnings unless somebody asked for it to be.
Decision Decide(const Json& pod, const NamespaceFacts& name_space, const Settings& settings);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_DECISION_H_
