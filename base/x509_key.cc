#include "base/x509_key.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/pem.h"

namespace weft::x509 {
namespace {

constexpr size_t kMaxPemBytes = 64 * 1024;
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;

// Foreign PEM that says it is encrypted must not make a program ask its terminal for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

absl::Status CryptoError(absl::StatusCode code, std::string_view doing) {
  const uint32_t error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  if (reason == nullptr) return {code, ToAbsl(doing)};
  return {code, absl::StrCat(ToAbsl(doing), ": ", reason)};
}

PublicKey::PublicKey(bssl::UniquePtr<EVP_PKEY> key) : key_(key.release(), EVP_PKEY_free) {}

absl::Status PublicKey::CheckStrength() const {
  switch (EVP_PKEY_id(key_.get())) {
    case EVP_PKEY_EC: {
      const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key_.get());
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
      if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1) return absl::OkStatus();
      return absl::InvalidArgumentError("the key's curve is neither P-256 nor P-384");
    }
    case EVP_PKEY_RSA: {
      const int bits = EVP_PKEY_bits(key_.get());
      if (bits >= kMinRsaBits && bits <= kMaxRsaBits) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat("the RSA key has ", bits, " bits; 2048 to 8192 are accepted"));
    }
    default:
      return absl::InvalidArgumentError("the key is neither ECDSA nor RSA");
  }
}

PrivateKey::PrivateKey(bssl::UniquePtr<EVP_PKEY> key) : key_(key.release(), EVP_PKEY_free) {}

absl::StatusOr<PrivateKey> PrivateKey::Generate() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (ec == nullptr || key == nullptr || !EC_KEY_generate_key(ec.get()) ||
      !EVP_PKEY_set1_EC_KEY(key.get(), ec.get())) {
    return CryptoError(absl::StatusCode::kInternal, "cannot generate a P-256 key");
  }
  return PrivateKey(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) {
    return absl::InvalidArgumentError("private key: longer than 64 KiB");
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return CryptoError(absl::StatusCode::kInternal, "private key");
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return CryptoError(absl::StatusCode::kInvalidArgument,
                       "no readable private key (unencrypted PEM is expected)");
  }
  return PrivateKey(std::move(key));
}

absl::StatusOr<std::string> PrivateKey::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || !PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                       nullptr, nullptr)) {
    return CryptoError(absl::StatusCode::kInternal, "cannot encode the private key");
  }
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!BIO_mem_contents(bio.get(), &data, &size)) {
    return absl::InternalError("cannot encode the private key");
  }
  std::string pem(reinterpret_cast<const char*>(data), size);
  OPENSSL_cleanse(const_cast<uint8_t*>(data), size);
  return pem;
}

PublicKey PrivateKey::Public() const {
  EVP_PKEY_up_ref(key_.get());
  return PublicKey(bssl::UniquePtr<EVP_PKEY>(key_.get()));
}

}  // namespace weft::x509
