// Injection of manifests: the text of a file in, the same text with sidecars in its workloads out.
#ifndef WEFT_TOOLS_MESHCTL_INJECT_MANIFEST_H_
#define WEFT_TOOLS_MESHCTL_INJECT_MANIFEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "injector/patch/inject.h"

namespace weft::meshctl {

// What became of one workload: Pod, Deployment, DaemonSet, StatefulSet, ReplicaSet,
// ReplicationController, Job or CronJob.
struct InjectedObject {
  std::string name;  // "Deployment shop/web"
  inject::Decision decision;
};

struct InjectedManifest {
  std::string text;
  std::vector<InjectedObject> objects;  // in the order of the text
};

// Injects every workload of a YAML stream or JSON text, also inside Lists. Whoever asks wants it: a
// namespace counts as enabled unless a Namespace of the same text says otherwise; pods' own
// annotations count as ever. Documents without a change are passed on byte for byte; a changed one
// keeps the order of its keys and loses its comments. InvalidArgument names document and line.
absl::StatusOr<InjectedManifest> InjectManifest(std::string_view text,
                                                const std::string& default_namespace,
                                                const inject::Settings& settings);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_INJECT_MANIFEST_H_
