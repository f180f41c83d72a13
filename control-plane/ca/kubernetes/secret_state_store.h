// A document in a Kubernetes Secret.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_SECRET_STATE_STORE_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_SECRET_STATE_STORE_H_

#include <string>
#include <string_view>
#include <utility>

#include "control-plane/ca/kubernetes/data_object.h"
#include "control-plane/ca/state_store.h"

namespace weft::ca {

inline constexpr std::string_view kCaSecret = "weft-ca";
inline constexpr std::string_view kOperatorSecret = "weft-operator";
inline constexpr std::string_view kOperatorKey = "token";

// One entry of one Secret. The Secret is created once, whoever of several replicas is first.
class SecretStateStore final : public StateStore {
 public:
  SecretStateStore(DataObjects objects, std::string_view name_space, std::string_view name,
                   std::string_view key)
      : objects_(std::move(objects)),
        name_{DataObjectName::Kind::kSecret, std::string(name_space), std::string(name)},
        key_(key) {}

  absl::StatusOr<Versioned> Read() override;
  absl::Status Create(std::string_view content) override;
  absl::Status Replace(std::string_view content, std::string_view version) override;
  std::string Name() const override { return name_.ToString(); }

 private:
  const DataObjects objects_;
  const DataObjectName name_;
  const std::string key_;
};

// The operator token in Secret weft-operator, created if there is none. FailedPrecondition, with
// the remedy, if the Secret holds no token; it is never replaced.
absl::StatusOr<std::string> ReadOrCreateOperatorSecret(const DataObjects& objects,
                                                       std::string_view name_space);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_SECRET_STATE_STORE_H_
