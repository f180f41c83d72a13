// One certificate with its key, and how it is obtained.
#ifndef WEFT_SIDECAR_IDENTITY_SVID_H_
#define WEFT_SIDECAR_IDENTITY_SVID_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"
#include "sidecar/discovery/control_plane.h"
#include "sidecar/io/task.h"
#include "sidecar/tls/context.h"
#include "weft/v1/certificate.pb.h"

namespace weft::identity {

// An X.509-SVID that was checked against its key and its roots. Immutable.
struct Svid {
  x509::PrivateKey key;
  std::vector<x509::Certificate> chain;  // leaf first
  std::vector<std::string> chain_pem;
  std::vector<std::string> roots_pem;
  SpiffeId id;

  absl::Time not_after() const { return chain.front().NotAfter(); }
};

// Whom the certificate must name. An empty service account: any.
struct Expected {
  std::string trust_domain;
  std::string name_space;
  std::string service_account;
};

// How the caller proves who it is: by the client certificate in `context`, or by `token` (a
// secret).
struct Credential {
  std::shared_ptr<const tls::Context> context;
  std::string token;
};

// weft.v1.CertificateService.Sign over a connection of its own, with a new key. Errors: those of
// ControlPlane::Dial and of the service, and Internal if the answer is not what a control plane may
// give.
io::Task<absl::StatusOr<Svid>> ObtainSvid(discovery::ControlPlane* control_plane,
                                          std::string workload, Expected expected,
                                          Credential credential, io::Nanos deadline);

// Checks an answer to a request that was made with `key`: a chain within bounds that ends in the
// roots it comes with and is valid at `now`, for that key, naming whom it should. Internal says
// what is wrong.
absl::StatusOr<Svid> CheckAnswer(x509::PrivateKey key, const weft::v1::SignResponse& answer,
                                 const Expected& expected, absl::Time now);

// TLS settings with this certificate; `extra_roots` are trusted beside `roots`.
absl::StatusOr<std::shared_ptr<const tls::Context>> MakeContext(
    const Svid& svid, const std::vector<std::string>& roots,
    const std::vector<std::string>& extra_roots);

}  // namespace weft::identity

#endif  // WEFT_SIDECAR_IDENTITY_SVID_H_
