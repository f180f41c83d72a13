#include "base/x509_certificate.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/digest.h"
#include "openssl/err.h"
#include "openssl/mem.h"
#include "openssl/pem.h"
#include "openssl/sha.h"
#include "openssl/stack.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace weft::x509 {
namespace {

constexpr size_t kMaxDerBytes = 64 * 1024;
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";

absl::Status Malformed(size_t index) {
  return CryptoError(absl::StatusCode::kInvalidArgument,
                     ToStd(absl::StrCat("certificate ", index, " is malformed")));
}

bssl::UniquePtr<X509> ReadOne(BIO* bio) {
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}

size_t CountBlocks(std::string_view pem) {
  size_t count = 0;
  for (size_t at = pem.find(kBegin); at != std::string_view::npos;
       at = pem.find(kBegin, at + kBegin.size())) {
    ++count;
  }
  return count;
}

absl::Time ToTime(const ASN1_TIME* t) {
  // Days and seconds since the epoch: works for every date that RFC 5280 can express.
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (epoch == nullptr || !ASN1_TIME_diff(&days, &seconds, epoch.get(), t)) {
    ERR_clear_error();
    return absl::UnixEpoch();
  }
  return absl::FromUnixSeconds(int64_t{days} * 86400 + seconds);
}

bssl::UniquePtr<GENERAL_NAMES> AlternativeNames(X509* certificate, int* critical) {
  return bssl::UniquePtr<GENERAL_NAMES>(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, critical, nullptr)));
}

std::string ToText(const ASN1_STRING* s) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
          static_cast<size_t>(ASN1_STRING_length(s))};
}

}  // namespace

Certificate::Certificate(bssl::UniquePtr<X509> certificate)
    : certificate_(certificate.release(), X509_free) {
  // Fills BoringSSL's cache of parsed extensions now, so that later reads from several threads only
  // read.
  X509_check_purpose(certificate_.get(), -1, 0);
  ERR_clear_error();
}

absl::StatusOr<Certificate> Certificate::FromPem(std::string_view pem) {
  absl::StatusOr<std::vector<Certificate>> all = ListFromPem(pem);
  if (!all.ok()) return all.status();
  return all->front();
}

absl::StatusOr<std::vector<Certificate>> Certificate::ListFromPem(std::string_view pem) {
  if (pem.size() > kMaxBundleBytes) {
    return absl::InvalidArgumentError("certificates: longer than 256 KiB");
  }
  const size_t blocks = CountBlocks(pem);
  if (blocks == 0) return absl::InvalidArgumentError("no PEM certificate found");
  if (blocks > kMaxBundleCertificates) {
    return absl::InvalidArgumentError("more than 64 certificates");
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return CryptoError(absl::StatusCode::kInternal, "certificates");
  std::vector<Certificate> certificates;
  while (certificates.size() < blocks) {
    bssl::UniquePtr<X509> one = ReadOne(bio.get());
    if (one == nullptr) return Malformed(certificates.size() + 1);
    certificates.emplace_back(std::move(one));
  }
  return certificates;
}

absl::StatusOr<Certificate> Certificate::FromDer(std::string_view der) {
  if (der.size() > kMaxDerBytes) return absl::InvalidArgumentError("certificate: over 64 KiB");
  const uint8_t* at = reinterpret_cast<const uint8_t*>(der.data());
  const uint8_t* const end = at + der.size();
  bssl::UniquePtr<X509> parsed(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (parsed == nullptr) return Malformed(1);
  if (at != end) return absl::InvalidArgumentError("certificate 1 is followed by other bytes");
  return Certificate(std::move(parsed));
}

absl::StatusOr<std::string> Certificate::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (bio == nullptr || !PEM_write_bio_X509(bio.get(), certificate_.get()) ||
      !BIO_mem_contents(bio.get(), &data, &size)) {
    return CryptoError(absl::StatusCode::kInternal, "cannot encode the certificate");
  }
  return std::string(reinterpret_cast<const char*>(data), size);
}

absl::StatusOr<SpiffeId> Certificate::Identity() const {
  bssl::UniquePtr<GENERAL_NAMES> names = AlternativeNames(certificate_.get(), nullptr);
  if (names == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("certificate has no subject alternative name");
  }
  std::string uri;
  size_t uris = 0;
  for (size_t i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    ++uris;
    uri = ToText(name->d.uniformResourceIdentifier);
  }
  if (uris != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "certificate has ", uris, " URI names; a workload's certificate has exactly one"));
  }
  return SpiffeId::Parse(uri);
}

std::vector<std::string> Certificate::DnsNames() const {
  std::vector<std::string> dns;
  bssl::UniquePtr<GENERAL_NAMES> names = AlternativeNames(certificate_.get(), nullptr);
  if (names == nullptr) {
    ERR_clear_error();
    return dns;
  }
  for (size_t i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) dns.push_back(ToText(name->d.dNSName));
  }
  return dns;
}

absl::Time Certificate::NotBefore() const {
  return ToTime(X509_get0_notBefore(certificate_.get()));
}

absl::Time Certificate::NotAfter() const { return ToTime(X509_get0_notAfter(certificate_.get())); }

std::string Certificate::Fingerprint() const {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  unsigned size = 0;
  if (!X509_digest(certificate_.get(), EVP_sha256(), digest.data(), &size)) return "";
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

std::string Certificate::Serial() const {
  bssl::UniquePtr<BIGNUM> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate_.get()), nullptr));
  if (number == nullptr) return "";
  bssl::UniquePtr<char> hex(BN_bn2hex(number.get()));
  return hex == nullptr ? "" : hex.get();
}

bool Certificate::IsCa() const { return X509_check_ca(certificate_.get()) == 1; }

bool Certificate::BelongsTo(const PrivateKey& key) const {
  const bool same = X509_check_private_key(certificate_.get(), key.get()) == 1;
  ERR_clear_error();
  return same;
}

bool Certificate::IsSelfSigned() const {
  bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(certificate_.get()));
  const bool verifies = key != nullptr && X509_verify(certificate_.get(), key.get()) == 1;
  ERR_clear_error();
  return verifies;
}

absl::Status VerifyChain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                         const std::vector<Certificate>& roots, absl::Time now) {
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  bssl::UniquePtr<STACK_OF(X509)> chain(sk_X509_new_null());
  bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  if (store == nullptr || chain == nullptr || context == nullptr) {
    return absl::ResourceExhaustedError("verifying a certificate: out of memory");
  }
  for (const Certificate& root : roots) X509_STORE_add_cert(store.get(), root.get());
  for (const Certificate& certificate : intermediates) {
    bssl::PushToStack(chain.get(), bssl::UpRef(certificate.get()));
  }
  if (!X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), chain.get())) {
    return CryptoError(absl::StatusCode::kInternal, "verifying a certificate");
  }
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(now));
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  ERR_clear_error();
  return absl::UnauthenticatedError(
      absl::StrCat("certificate is not accepted: ",
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
}

}  // namespace weft::x509
