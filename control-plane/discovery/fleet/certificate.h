// How a fleet gets its certificate: from the control plane, as every sidecar does.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CERTIFICATE_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CERTIFICATE_H_

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "openssl/ssl.h"

namespace weft::discovery::fleet {

// Where and as whom to ask.
struct Enrolment {
  sockaddr_storage control_plane = {};
  std::string root_pem;
  std::string join_token;
  std::string workload;  // "namespace/pod", a pod of the token's identity
};

// Makes a key, has it signed (weft.v1.CertificateService), and returns what TLS needs to connect
// with the certificate. Waits for the answer.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> Enrol(const Enrolment& enrolment);

}  // namespace weft::discovery::fleet

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CERTIFICATE_H_
