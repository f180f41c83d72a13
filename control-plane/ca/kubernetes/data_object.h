// Secrets and ConfigMaps as the control plane keeps its own few in the Kubernetes API.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_DATA_OBJECT_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_DATA_OBJECT_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"

namespace weft::ca {

// One exchange with an API server, as kubernetes::Client::Call. Thread-safe.
using ApiCall =
    std::function<absl::StatusOr<kubernetes::Response>(const kubernetes::Request& request)>;

// That of a client; both must outlive it. `cancellation` ends every call.
ApiCall CallOf(kubernetes::Client& client, const kubernetes::Cancellation& cancellation);

// Which one: a plain value.
struct DataObjectName {
  enum class Kind { kSecret, kConfigMap };
  Kind kind;
  std::string name_space;
  std::string name;

  std::string ToString() const;  // "Secret weft-system/weft-ca"
};

struct DataObject {
  std::string name_space;
  std::string resource_version;
  std::string type;                         // of a Secret
  std::map<std::string, std::string> data;  // bytes, not base64
};

// Thread-safe. Statuses are those of kubernetes::StatusOf and of the client.
class DataObjects {
 public:
  explicit DataObjects(ApiCall call) : call_(std::move(call)) {}

  absl::StatusOr<DataObject> Get(const DataObjectName& name) const;

  // All that have this name, in whatever namespace.
  absl::StatusOr<std::vector<DataObject>> ListNamed(DataObjectName::Kind kind,
                                                    std::string_view name) const;

  // AlreadyExists if it is there.
  absl::Status Create(const DataObjectName& name,
                      const std::map<std::string, std::string>& data) const;

  // Sets these entries, and removes those without a value; nothing else of the object changes.
  // Aborted if `resource_version` is given and no longer the object's.
  absl::Status Merge(const DataObjectName& name,
                     const std::map<std::string, std::optional<std::string>>& data,
                     std::string_view resource_version = "") const;

  // Whether the pod is there.
  absl::StatusOr<bool> PodExists(std::string_view name_space, std::string_view pod) const;

 private:
  absl::StatusOr<kubernetes::Response> Call(kubernetes::Request request, std::string_view verb,
                                            std::string_view what) const;

  const ApiCall call_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_DATA_OBJECT_H_
