#include "control-plane/ca/certificates_for_test.h"

#include <atomic>
#include <cstdlib>
#include <utility>

#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/digest.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/rsa.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace weft::ca {
namespace {

void Must(bool done) {
  if (!done) std::abort();
}

void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value.c_str())));
  Must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1));
}

bssl::UniquePtr<EVP_PKEY> Generate(KeyKind kind) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (kind == KeyKind::kP256 || kind == KeyKind::kP384 || kind == KeyKind::kP521) {
    const int curve = kind == KeyKind::kP256   ? NID_X9_62_prime256v1
                      : kind == KeyKind::kP384 ? NID_secp384r1
                                               : NID_secp521r1;
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
    Must(EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
    return key;
  }
  const int bits = kind == KeyKind::kRsa1024 ? 1024 : kind == KeyKind::kRsa2048 ? 2048 : 4096;
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> exponent(BN_new());
  Must(BN_set_word(exponent.get(), RSA_F4) &&
       RSA_generate_key_ex(rsa.get(), bits, exponent.get(), nullptr) &&
       EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  return key;
}

}  // namespace

x509::PrivateKey NewKeyForTest(KeyKind kind) {
  const bssl::UniquePtr<EVP_PKEY> key = Generate(kind);
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  Must(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) &&
       BIO_mem_contents(bio.get(), &data, &size));
  return *x509::PrivateKey::FromPem({reinterpret_cast<const char*>(data), size});
}

CaForTest NewCaForTest(const CaForTest* issuer, const CaOptionsForTest& options) {
  static std::atomic<uint64_t> serial{1};
  x509::PrivateKey key = NewKeyForTest(options.key);
  bssl::UniquePtr<X509> certificate(X509_new());
  X509* const made = certificate.get();
  X509* const signer = issuer == nullptr ? made : issuer->certificate.get();
  X509_NAME* const name = X509_get_subject_name(made);
  Must(X509_set_version(made, X509_VERSION_3) &&
       ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), ++serial) &&
       ASN1_TIME_adj(X509_getm_notBefore(made), absl::ToTimeT(options.from), 0, 0) &&
       ASN1_TIME_adj(X509_getm_notAfter(made), absl::ToTimeT(options.from + options.lifetime), 0,
                     0) &&
       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const uint8_t*>(options.name.data()),
                                  static_cast<int>(options.name.size()), -1, 0) &&
       X509_set_issuer_name(made, X509_get_subject_name(signer)) &&
       X509_set_pubkey(made, key.get()));
  Extend(made, signer, NID_basic_constraints, options.basic_constraints);
  Extend(made, signer, NID_key_usage, options.key_usage);
  Extend(made, signer, NID_ext_key_usage, options.extended_key_usage);
  Extend(made, signer, NID_name_constraints, options.name_constraints);
  Extend(made, signer, NID_subject_key_identifier, "hash");
  Must(X509_sign(made, issuer == nullptr ? key.get() : issuer->key.get(), EVP_sha256()) != 0);
  return {x509::Certificate(std::move(certificate)), std::move(key)};
}

}  // namespace weft::ca
