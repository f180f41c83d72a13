// Requests for certificates (PKCS#10, RFC 2986) and their issue by a mesh CA (RFC 5280, X509-SVID).
#ifndef WEFT_BASE_X509_ISSUER_H_
#define WEFT_BASE_X509_ISSUER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"

namespace weft::x509 {

inline constexpr size_t kMaxRequestBytes = 16 * 1024;

// A certificate request for `key` in PEM. It proves possession of the key and names `identity`,
// which the CA is free to ignore.
absl::StatusOr<std::string> CreateRequest(const PrivateKey& key, const SpiffeId& identity);

// Checks a foreign request: at most 16 KiB, well-formed, its signature made by its own key, a key
// that CheckStrength accepts. Returns the key; whatever else the request asks for is ignored.
// InvalidArgument says what is wrong.
absl::StatusOr<PublicKey> CheckRequest(std::string_view pem);

struct RootOptions {
  std::string common_name = "Weft mesh root";
  std::string organization = "Weft";
  absl::Duration lifetime = absl::Hours(24 * 3652);  // ten years
  int path_length = 1;                               // CAs allowed below this one
};

// A self-signed CA certificate for `key`, valid from `now` less a minute.
absl::StatusOr<Certificate> IssueRoot(const PrivateKey& key, const RootOptions& options,
                                      absl::Time now);

struct LeafOptions {
  SpiffeId identity = {};
  std::vector<std::string> dns_names = {};
  absl::Duration lifetime = absl::Hours(1);
};

// A certificate for `subject` signed by the CA: the identity as URI name, server and client
// authentication, a random 127-bit serial number, an empty subject with a critical alternative
// name. Valid from `now`, backdated by a tenth of the lifetime and a minute at most (clocks differ;
// and whoever renews at a fraction of the life must not find it already over), never outside the
// CA's own validity. FailedPrecondition if the CA has expired, InvalidArgument for a lifetime under
// a second.
absl::StatusOr<Certificate> IssueLeaf(const Certificate& ca, const PrivateKey& ca_key,
                                      const PublicKey& subject, const LeafOptions& options,
                                      absl::Time now);

}  // namespace weft::x509

#endif  // WEFT_BASE_X509_ISSUER_H_
