// The supplied signing certificate in a kubernetes.io/tls Secret, as cert-manager writes it.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_SUPPLIED_SECRET_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_SUPPLIED_SECRET_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "control-plane/ca/kubernetes/data_object.h"
#include "control-plane/ca/supplied_signer.h"

namespace weft::ca {

class SuppliedSecret final : public SuppliedSource {
 public:
  // `reference` is "NAME", in `name_space`, or "NAMESPACE/NAME". InvalidArgument otherwise.
  static absl::StatusOr<std::unique_ptr<SuppliedSecret>> Create(DataObjects objects,
                                                                std::string_view name_space,
                                                                std::string_view reference);

  absl::StatusOr<SuppliedPem> Read() override;
  std::string Name() const override { return name_.ToString(); }

 private:
  SuppliedSecret(DataObjects objects, DataObjectName name)
      : objects_(std::move(objects)), name_(std::move(name)) {}

  const DataObjects objects_;
  const DataObjectName name_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_SUPPLIED_SECRET_H_
