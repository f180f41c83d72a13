#include "injector/webhook/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::webhook {
namespace {

constexpr size_t kMaxPemBytes = 256 * 1024;
constexpr size_t kMaxCertificates = 64;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;

struct FreeRequest {
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
};

absl::Status Failed(std::string_view doing) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(ToAbsl(doing), ": ", text));
}

std::string Content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

absl::StatusOr<std::vector<CertificatePtr>> Parse(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return absl::InvalidArgumentError("the PEM text is too large");
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<CertificatePtr> certificates;
  while (true) {
    CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) {
      const unsigned long error = ERR_peek_last_error();
      ERR_clear_error();
      if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) {
        return certificates;
      }
      return absl::InvalidArgumentError("a certificate is malformed");
    }
    if (certificates.size() == kMaxCertificates) {
      return absl::InvalidArgumentError("there are too many certificates");
    }
    certificates.push_back(std::move(certificate));
  }
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return absl::InfinitePast();
  return absl::FromTM(fields, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<KeyPtr> GenerateKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failed("generating a key");
  return key;
}

absl::StatusOr<std::string> CreateRequest(EVP_PKEY* key) {
  const std::unique_ptr<X509_REQ, FreeRequest> request(X509_REQ_new());
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key) != 1 ||
      X509_REQ_sign(request.get(), key, EVP_sha256()) == 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return Failed("making a certificate request");
  }
  return Content(bio.get());
}

absl::StatusOr<std::vector<std::string>> CertificatesIn(std::string_view pem) {
  absl::StatusOr<std::vector<CertificatePtr>> parsed = Parse(pem);
  if (!parsed.ok()) return parsed.status();
  std::vector<std::string> texts;
  for (const CertificatePtr& certificate : *parsed) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(bio.get(), certificate.get()) != 1) {
      return Failed("writing a certificate");
    }
    texts.push_back(Content(bio.get()));
  }
  return texts;
}

absl::StatusOr<std::shared_ptr<const ServingCertificate>> ServingCertificate::Create(
    KeyPtr key, std::string_view chain_pem) {
  absl::StatusOr<std::vector<CertificatePtr>> chain = Parse(chain_pem);
  if (!chain.ok()) return chain.status();
  if (chain->empty()) return absl::InvalidArgumentError("there is no certificate in the chain");
  X509* leaf = chain->front().get();
  if (X509_check_private_key(leaf, key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the certificate is not of our key");
  }
  std::shared_ptr<ServingCertificate> serving(new ServingCertificate);
  serving->not_before_ = TimeOf(X509_get0_notBefore(leaf));
  serving->not_after_ = TimeOf(X509_get0_notAfter(leaf));
  serving->key_ = std::move(key);
  serving->chain_ = *std::move(chain);
  return std::shared_ptr<const ServingCertificate>(std::move(serving));
}

bool ServingCertificate::Use(SSL* connection) const {
  bool used = SSL_use_certificate(connection, chain_.front().get()) == 1 &&
              SSL_use_PrivateKey(connection, key_.get()) == 1;
  for (size_t i = 1; used && i < chain_.size(); ++i) {
    used = SSL_add1_chain_cert(connection, chain_[i].get()) == 1;
  }
  if (!used) ERR_clear_error();
  return used;
}

bool ServingCertificate::IsFor(const std::string& dns_name) const {
  return X509_check_host(chain_.front().get(), dns_name.data(), dns_name.size(), 0, nullptr) == 1;
}

}  // namespace weft::webhook
