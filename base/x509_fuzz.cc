// Certificates, bundles and certificate requests of strangers: refused, or the same after a round
// trip.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/x509_certificate.h"
#include "base/x509_issuer.h"
#include "base/x509_key.h"

namespace {

using weft::x509::Certificate;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Everything that anyone asks a certificate.
void Ask(const Certificate& certificate) {
  static_cast<void>(certificate.Identity().ok());
  static_cast<void>(certificate.DnsNames());
  static_cast<void>(certificate.Serial());
  static_cast<void>(certificate.IsCa());
  static_cast<void>(certificate.NotBefore() < certificate.NotAfter());
  const bool own = certificate.IsSelfSigned();
  const absl::StatusOr<std::string> pem = certificate.ToPem();
  Require(pem.ok());
  const absl::StatusOr<Certificate> again = Certificate::FromPem(*pem);
  Require(again.ok() && again->Fingerprint() == certificate.Fingerprint() &&
          again->IsSelfSigned() == own);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto certificate = Certificate::FromDer(bytes); certificate.ok()) Ask(*certificate);
  if (const auto bundle = Certificate::ListFromPem(bytes); bundle.ok()) {
    Require(!bundle->empty() && bundle->size() <= weft::x509::kMaxBundleCertificates);
    for (const Certificate& certificate : *bundle) Ask(certificate);
    static_cast<void>(weft::x509::VerifyChain(bundle->front(), *bundle, *bundle, absl::Now()));
  }
  static_cast<void>(weft::x509::CheckRequest(bytes).ok());
  static_cast<void>(weft::x509::PrivateKey::FromPem(bytes).ok());
  return 0;
}
