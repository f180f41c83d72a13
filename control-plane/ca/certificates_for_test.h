// For tests: authorities as users have them, of all kinds of keys, and unfit ones.
#ifndef WEFT_CONTROL_PLANE_CA_CERTIFICATES_FOR_TEST_H_
#define WEFT_CONTROL_PLANE_CA_CERTIFICATES_FOR_TEST_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"

namespace weft::ca {

enum class KeyKind { kP256, kP384, kP521, kRsa1024, kRsa2048, kRsa4096 };

x509::PrivateKey NewKeyForTest(KeyKind kind);

struct CaForTest {
  x509::Certificate certificate;
  x509::PrivateKey key;

  std::string Pem() const { return *certificate.ToPem(); }
  std::string KeyPem() const { return *key.ToPem(); }
};

struct CaOptionsForTest {
  KeyKind key = KeyKind::kP256;
  std::string name = "Test CA";
  absl::Time from = absl::FromUnixSeconds(1'799'000'000);
  absl::Duration lifetime = absl::Hours(24 * 365);
  // Extensions in OpenSSL's configuration language; empty: none.
  std::string basic_constraints = "critical,CA:TRUE";
  std::string key_usage = "critical,keyCertSign,cRLSign";
  std::string extended_key_usage = {};
  std::string name_constraints = {};
};

// Signed by `issuer`; null: by itself.
CaForTest NewCaForTest(const CaForTest* issuer, const CaOptionsForTest& options = {});

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_CERTIFICATES_FOR_TEST_H_
