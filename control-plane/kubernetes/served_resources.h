// How the API server serves the kinds that have a status: which versions, and whether the status
// can be written. A user's own definition of a kind may have neither.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_SERVED_RESOURCES_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_SERVED_RESOURCES_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/kubernetes/client.h"
#include "control-plane/store/object.h"

namespace weft::cluster {

struct ServedResource {
  std::string api_version;  // "split.smi-spec.io/v1alpha4"
  std::string name;         // "trafficsplits"
  std::string full_name;    // "trafficsplits.split.smi-spec.io"
  bool has_status = false;  // a status subresource

  // Of one object of the kind, escaped.
  std::string Path(const store::ObjectKey& key) const;
};

// Asks the server's discovery and remembers the answer for a while. Not thread-safe.
class ServedResources {
 public:
  // `client` must outlive it.
  explicit ServedResources(kubernetes::Client& client) : client_(client) {}

  // NotFound: the kind is not installed. Other errors are those of the server.
  absl::StatusOr<ServedResource> Find(store::Kind kind, absl::Time now,
                                      const kubernetes::Cancellation& cancellation);

  // Ask again next time: what was said has turned out wrong.
  void Forget(store::Kind kind) { known_.erase(kind); }

 private:
  struct Known {
    absl::StatusOr<ServedResource> resource;
    absl::Time until;
  };

  absl::StatusOr<ServedResource> Ask(store::Kind kind,
                                     const kubernetes::Cancellation& cancellation) const;

  kubernetes::Client& client_;
  std::map<store::Kind, Known> known_;
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_SERVED_RESOURCES_H_
