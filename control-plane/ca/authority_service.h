// weft.v1.AuthorityService: shows the certificate authority to the operator, and rotates its root.
#ifndef WEFT_CONTROL_PLANE_CA_AUTHORITY_SERVICE_H_
#define WEFT_CONTROL_PLANE_CA_AUTHORITY_SERVICE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/rotation_driver.h"
#include "weft/v1/authority.grpc.pb.h"

namespace weft::ca {

// Answers UNAUTHENTICATED to whoever does not present the operator token. Thread-safe.
class AuthorityService final : public v1::AuthorityService::CallbackService {
 public:
  struct Source {
    std::string name;  // "Secret weft-system/weft-ca"
    // Null where the user supplies the signing certificate: there is nothing to rotate.
    RotationDriver* rotation = nullptr;
    // What is wrong with a supplied certificate now; OK: nothing.
    std::function<absl::Status()> problem = nullptr;
  };

  // `source.rotation` must outlive the service.
  AuthorityService(Authority authority, Source source, std::string operator_token);

  grpc::ServerUnaryReactor* GetAuthority(grpc::CallbackServerContext* context,
                                         const v1::GetAuthorityRequest* request,
                                         v1::GetAuthorityResponse* response) override;
  grpc::ServerUnaryReactor* RotateRoot(grpc::CallbackServerContext* context,
                                       const v1::RotateRootRequest* request,
                                       v1::RotateRootResponse* response) override;

  // The same without their transport.
  v1::GetAuthorityResponse Describe(absl::Time now) const;
  absl::StatusOr<v1::RotateRootResponse> Rotate(absl::Time now);

 private:
  const Authority authority_;
  const Source source_;
  const std::string operator_token_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_AUTHORITY_SERVICE_H_
