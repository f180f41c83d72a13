// The namespaces of the cluster, as far as injection reads them.
#ifndef WEFT_INJECTOR_WEBHOOK_NAMESPACES_H_
#define WEFT_INJECTOR_WEBHOOK_NAMESPACES_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/client.h"
#include "control-plane/metrics.h"
#include "control-plane/source/kubernetes_reflector.h"
#include "injector/patch/pod.h"
#include "injector/webhook/metrics.h"

namespace weft::webhook {

// Where a pod's namespace is looked up. Thread-safe.
class NamespaceSource {
 public:
  virtual ~NamespaceSource() = default;
  // NotFound: there is no such namespace. Other errors: nobody can say now.
  virtual absl::StatusOr<inject::NamespaceFacts> Find(const std::string& name) = 0;
};

// Follows the namespaces by a watch. One that the watch has not shown, and every one while the
// watch is broken, is asked for directly.
class WatchedNamespaces final : public NamespaceSource {
 public:
  // The references must outlive this.
  WatchedNamespaces(kubernetes::Client& client, Metrics& metrics,
                    const source::KubernetesTiming& timing = {});

  absl::StatusOr<inject::NamespaceFacts> Find(const std::string& name) override;

  // Whether the watch has told what there is.
  bool Settled() const { return reflector_->Settled(); }

 private:
  void Take(std::vector<store::Update> updates);
  absl::StatusOr<inject::NamespaceFacts> Get(const std::string& name);

  kubernetes::Client& client_;
  Metrics& metrics_;
  weft::Metrics reflector_metrics_;  // counted, not shown: they carry the control plane's names
  mutable absl::Mutex mutex_;
  std::map<std::string, inject::NamespaceFacts> namespaces_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<source::KubernetesReflector> reflector_;  // last: it calls Take
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_NAMESPACES_H_
