// Where replicas leave their reports for one another: ConfigMap weft-replicas, an entry each.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_REPLICA_BOARD_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_REPLICA_BOARD_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control-plane/ca/kubernetes/data_object.h"
#include "control-plane/ca/rotation_driver.h"

namespace weft::ca {

inline constexpr std::string_view kReplicasConfigMap = "weft-replicas";

// A report as an entry's value (JSON), and back. A value that cannot be read is a report without
// content that nobody has left lately.
std::string ReportToJson(const ReplicaReport& report);
ReplicaReport ReportFromJson(std::string_view name, std::string_view json);

// Entries of replicas that are silent and whose pods are gone are removed by whoever reads. A
// replica's name is that of its pod.
class ConfigMapBoard final : public ReplicaBoard {
 public:
  ConfigMapBoard(DataObjects objects, std::string_view name_space)
      : objects_(std::move(objects)),
        name_{DataObjectName::Kind::kConfigMap, std::string(name_space),
              std::string(kReplicasConfigMap)} {}

  absl::Status Publish(const ReplicaReport& own) override;
  absl::StatusOr<std::vector<ReplicaReport>> Read(absl::Time now) override;

 private:
  const DataObjects objects_;
  const DataObjectName name_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_REPLICA_BOARD_H_
