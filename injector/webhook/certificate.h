// Keys and certificates of the webhook's HTTPS server. On OpenSSL, which cpp-httplib and gRPC use:
// this program has no BoringSSL in it, two TLS libraries with the same names cannot meet.
#ifndef WEFT_INJECTOR_WEBHOOK_CERTIFICATE_H_
#define WEFT_INJECTOR_WEBHOOK_CERTIFICATE_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace weft::webhook {

struct FreeOpenSsl {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeOpenSsl>;
using CertificatePtr = std::unique_ptr<X509, FreeOpenSsl>;

// A new P-256 key. It stays in memory.
absl::StatusOr<KeyPtr> GenerateKey();

// A request (PKCS#10, RFC 2986) for the key in PEM, with an empty subject: the CA knows who asks.
absl::StatusOr<std::string> CreateRequest(EVP_PKEY* key);

// The certificates in a PEM text, each as PEM in canonical form, in order. InvalidArgument if one
// is malformed or there are more than 64; none at all is an empty list.
absl::StatusOr<std::vector<std::string>> CertificatesIn(std::string_view pem);

// A key with the chain that vouches for it; immutable, so that handshakes may share it.
class ServingCertificate {
 public:
  // `chain_pem`: leaf first. InvalidArgument: no certificate, or not of this key.
  static absl::StatusOr<std::shared_ptr<const ServingCertificate>> Create(
      KeyPtr key, std::string_view chain_pem);

  // Presents it in a handshake; false if OpenSSL refuses.
  bool Use(SSL* connection) const;

  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }

  // Whether clients that dial the name will accept it (RFC 6125).
  bool IsFor(const std::string& dns_name) const;

 private:
  ServingCertificate() = default;

  KeyPtr key_;
  std::vector<CertificatePtr> chain_;  // leaf first
  absl::Time not_before_, not_after_;
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_CERTIFICATE_H_
