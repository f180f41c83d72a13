// The Kubernetes API as the source of the mesh's objects: "--source kubernetes".
#ifndef WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_H_
#define WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/kubernetes/client.h"
#include "control-plane/metrics.h"
#include "control-plane/source/kubernetes_reflector.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Lists and watches every kind of KubernetesResources(), each on a thread of its own. While the API
// server is away, what was known stays in force.
class KubernetesSource {
 public:
  // Takes changes; called on several threads at once. The changes of one kind come in order.
  using Sink = std::function<void(std::vector<store::Update>)>;

  // Begins to read at once. The references must outlive the source.
  KubernetesSource(kubernetes::Client& client, Sink sink, Metrics& metrics,
                   const KubernetesTiming& timing = {});
  // Stops the threads; the sink is not called any more when this returns.
  ~KubernetesSource();
  KubernetesSource(const KubernetesSource&) = delete;
  KubernetesSource& operator=(const KubernetesSource&) = delete;

  // The kinds of which it is not known yet what there is: "pods". Until this is empty nobody may be
  // told that something does not exist. Once empty it stays so.
  std::vector<std::string> Missing() const;

  // Kinds that cannot be followed, and objects that cannot be used.
  std::vector<weft::v1::Finding> Findings() const;

 private:
  std::vector<std::unique_ptr<KubernetesReflector>> reflectors_;
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_H_
