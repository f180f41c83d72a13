// A service-account token that somebody has vouched for.
#ifndef WEFT_CONTROL_PLANE_CA_POD_TOKEN_H_
#define WEFT_CONTROL_PLANE_CA_POD_TOKEN_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::ca {

// Whom the token was made for.
struct PodToken {
  std::string name_space;
  std::string service_account;
  std::string pod;      // empty: the token is bound to no pod
  std::string pod_uid;  // with `pod`
};

// Whether the bearer token has the form of a JWT (RFC 7519: three parts of base64url).
bool IsJwt(std::string_view bearer);

// Checks service-account tokens. Thread-safe.
class PodTokenReviewer {
 public:
  using Done = std::function<void(absl::StatusOr<PodToken>)>;

  virtual ~PodTokenReviewer() = default;

  // Calls `done` once, on this thread or another one. Unauthenticated: the token is no good;
  // Unavailable: that cannot be found out now; ResourceExhausted: too many are waiting.
  virtual void Review(std::string token, Done done) = 0;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_POD_TOKEN_H_
