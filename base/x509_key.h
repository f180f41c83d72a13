// Key pairs for X.509 certificates: ECDSA over P-256, on BoringSSL. Private key bytes leave this
// type only through ToPem(), for a file of mode 0600 or a TLS context; they are never part of a
// message or a log line.
#ifndef WEFT_BASE_X509_KEY_H_
#define WEFT_BASE_X509_KEY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "openssl/base.h"

namespace weft::x509 {

// What is wrong last happened inside BoringSSL on this thread, as an error of `code`; empties its
// queue.
absl::Status CryptoError(absl::StatusCode code, std::string_view doing);

// A public key, shared and immutable; safe to use from several threads.
class PublicKey {
 public:
  explicit PublicKey(bssl::UniquePtr<EVP_PKEY> key);

  // OK for ECDSA on P-256 or P-384 and RSA of 2048 to 8192 bits; InvalidArgument names what it is
  // instead.
  absl::Status CheckStrength() const;

  EVP_PKEY* get() const { return key_.get(); }

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

// A private key with its public half, shared and immutable; safe to use from several threads.
class PrivateKey {
 public:
  // A new P-256 key.
  static absl::StatusOr<PrivateKey> Generate();

  // Reads the first unencrypted private key (PKCS#8 or SEC 1) in at most 64 KiB of PEM.
  // InvalidArgument if there is none.
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem);

  // PKCS#8 PEM. A secret.
  absl::StatusOr<std::string> ToPem() const;

  PublicKey Public() const;

  EVP_PKEY* get() const { return key_.get(); }

 private:
  explicit PrivateKey(bssl::UniquePtr<EVP_PKEY> key);
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace weft::x509

#endif  // WEFT_BASE_X509_KEY_H_
