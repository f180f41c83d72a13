// Writes conditions into the status of objects.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_STATUS_WRITER_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_STATUS_WRITER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/kubernetes/client.h"
#include "control-plane/compile/review.h"
#include "control-plane/kubernetes/conditions.h"
#include "control-plane/kubernetes/served_resources.h"

namespace weft::cluster {

// Not thread-safe.
class StatusWriter {
 public:
  enum class Outcome {
    kWritten,
    kSame,       // the object says it already
    kOvertaken,  // the object is gone or has changed since the review: another review will follow
    kNoStatus,   // the kind has no status subresource, or is not installed
  };

  // The references must outlive it.
  StatusWriter(kubernetes::Client& client, ServedResources& served)
      : client_(client), served_(served) {}

  // Reads the object and, if it says otherwise, patches its status subresource, provided that
  // nobody else has changed the object meanwhile (Aborted then). Errors are those of the server.
  absl::StatusOr<Outcome> Write(const compile::Review& review, const std::vector<Condition>& wanted,
                                const kubernetes::Cancellation& cancellation);

 private:
  kubernetes::Client& client_;
  ServedResources& served_;
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_STATUS_WRITER_H_
