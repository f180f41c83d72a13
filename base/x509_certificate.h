// X.509 certificates as the mesh uses them (RFC 5280, SPIFFE X509-SVID section 2): parsing of
// foreign bytes within bounds, the identity inside, validity, and verification of a chain.
#ifndef WEFT_BASE_X509_CERTIFICATE_H_
#define WEFT_BASE_X509_CERTIFICATE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "base/x509_key.h"
#include "openssl/base.h"

namespace weft::x509 {

// The largest PEM text that is read as one certificate chain or bundle, and the most certificates
// in it.
inline constexpr size_t kMaxBundleBytes = 256 * 1024;
inline constexpr size_t kMaxBundleCertificates = 64;

// One parsed certificate, shared and immutable; safe to use from several threads.
class Certificate {
 public:
  explicit Certificate(bssl::UniquePtr<X509> certificate);

  // The first certificate in the text; InvalidArgument if there is none or it is malformed.
  static absl::StatusOr<Certificate> FromPem(std::string_view pem);

  // All certificates in the text, in order, other blocks (keys) skipped. InvalidArgument if there
  // is none, one is malformed, or a bound above is exceeded.
  static absl::StatusOr<std::vector<Certificate>> ListFromPem(std::string_view pem);

  // One DER certificate of at most 64 KiB with nothing after it.
  static absl::StatusOr<Certificate> FromDer(std::string_view der);

  absl::StatusOr<std::string> ToPem() const;

  // The workload identity: exactly one URI among the subject's alternative names, and that a
  // SpiffeId. InvalidArgument otherwise (X509-SVID section 2).
  absl::StatusOr<SpiffeId> Identity() const;

  // DNS names among the subject's alternative names.
  std::vector<std::string> DnsNames() const;

  absl::Time NotBefore() const;
  absl::Time NotAfter() const;

  // SHA-256 of the DER form in lower-case hexadecimal.
  std::string Fingerprint() const;

  // The serial number in lower-case hexadecimal.
  std::string Serial() const;

  // Basic constraints say that it may sign certificates.
  bool IsCa() const;

  // `key` is the private half of the certificate's public key.
  bool BelongsTo(const PrivateKey& key) const;

  // The certificate's signature verifies under its own key.
  bool IsSelfSigned() const;

  X509* get() const { return certificate_.get(); }

 private:
  std::shared_ptr<X509> certificate_;
};

// OK if `leaf` chains to one of `roots` over `intermediates` and all of them are valid at `now`;
// otherwise Unauthenticated with the reason. What the leaf may be used for is the caller's to
// judge.
absl::Status VerifyChain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                         const std::vector<Certificate>& roots, absl::Time now);

}  // namespace weft::x509

#endif  // WEFT_BASE_X509_CERTIFICATE_H_
