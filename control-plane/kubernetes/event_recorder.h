// Kubernetes Events (core/v1): what `kubectl describe` and `kubectl get events` show of an object.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_EVENT_RECORDER_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_EVENT_RECORDER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/kubernetes/client.h"
#include "control-plane/store/object.h"

namespace weft::cluster {

struct Event {
  store::ObjectKey object;
  std::string uid;          // of the object
  std::string api_version;  // of the object
  bool warning = false;     // else it is good news
  std::string reason;       // CamelCase
  std::string message;      // at most 1 KiB is shown
  // What tells it from other events of the object and reason: one Event object is kept for each,
  // and counts.
  std::string subject;
};

// Not thread-safe.
class EventRecorder {
 public:
  // `instance` is the replica's name; `client` must outlive it.
  EventRecorder(kubernetes::Client& client, std::string instance)
      : client_(client), instance_(std::move(instance)) {}

  // Something has happened. If it did before, its Event counts one more, unless it is only `known`
  // that it has: a new leader finds mistakes that its predecessor has reported. OK also if the
  // namespace takes no events because it is gone or going. Aborted: somebody changed the Event
  // meanwhile, try again. Other errors are those of the server.
  absl::Status Record(const Event& event, bool known, absl::Time now,
                      const kubernetes::Cancellation& cancellation);

 private:
  absl::Status CountOneMore(const std::string& path, const Event& event, absl::Time now,
                            const kubernetes::Cancellation& cancellation);

  kubernetes::Client& client_;
  const std::string instance_;
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_EVENT_RECORDER_H_
