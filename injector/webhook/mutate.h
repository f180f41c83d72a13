// The mutating webhook: pods that are created, and the sidecars they get.
#ifndef WEFT_INJECTOR_WEBHOOK_MUTATE_H_
#define WEFT_INJECTOR_WEBHOOK_MUTATE_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "injector/patch/settings.h"
#include "injector/webhook/metrics.h"
#include "injector/webhook/namespaces.h"
#include "injector/webhook/review.h"

namespace weft::webhook {

// Thread-safe.
//
// A pod is only ever refused if somebody asked for a sidecar that it cannot be given. Whatever else
// goes wrong (the namespace cannot be looked up, the object is no pod) lets it pass as it is, with
// a warning where somebody may miss the sidecar.
class Mutator {
 public:
  // The references must outlive this.
  Mutator(inject::Settings settings, NamespaceSource& namespaces, Metrics& metrics);

  Answer Decide(const Review& review);

  // Settings for the pods from now on.
  void SetSettings(inject::Settings settings);

 private:
  std::shared_ptr<const inject::Settings> CurrentSettings() const;

  NamespaceSource& namespaces_;
  Metrics& metrics_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const inject::Settings> settings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_MUTATE_H_
