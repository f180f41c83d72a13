#include "injector/webhook/authority_for_test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <utility>

namespace weft::webhook {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

CertificatePtr NewCertificate(EVP_PKEY* key, const char* common_name, X509* issuer,
                              absl::Duration lifetime) {
  static std::atomic<int> serial = 1;
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), absl::ToInt64Seconds(lifetime));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), issuer == nullptr ? name : X509_get_subject_name(issuer));
  return certificate;
}

std::string PemOf(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  Require(PEM_write_bio_X509(bio, certificate) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

}  // namespace

AuthorityForTest::AuthorityForTest() { Rotate(); }

absl::StatusOr<Signed> AuthorityForTest::Sign(const std::string& request_pem) {
  if (!available_) return absl::UnavailableError("the authority is away");
  BIO* bio = BIO_new_mem_buf(request_pem.data(), static_cast<int>(request_pem.size()));
  X509_REQ* request = PEM_read_bio_X509_REQ(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  if (request == nullptr) return absl::InvalidArgumentError("this is no request");
  EVP_PKEY* subject = X509_REQ_get0_pubkey(request);
  const bool possessed = X509_REQ_verify(request, subject) == 1;
  absl::MutexLock lock(&mutex_);
  CertificatePtr leaf = NewCertificate(subject, "leaf", root_.get(), lifetime_);
  X509_REQ_free(request);
  if (!possessed) return absl::InvalidArgumentError("the request is not signed by its key");
  AddExtension(leaf.get(), root_.get(), NID_subject_alt_name,
               "DNS:localhost,DNS:weft-injector.weft-system.svc");
  Require(X509_sign(leaf.get(), key_.get(), EVP_sha256()) != 0);
  ++signatures_;
  return Signed{PemOf(leaf.get()), {PemOf(root_.get())}};
}

void AuthorityForTest::Rotate() {
  KeyPtr key = *GenerateKey();
  CertificatePtr root = NewCertificate(key.get(), "root", nullptr, absl::Hours(24));
  AddExtension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE");
  Require(X509_sign(root.get(), key.get(), EVP_sha256()) != 0);
  absl::MutexLock lock(&mutex_);
  key_ = std::move(key);
  root_ = std::move(root);
}

std::string AuthorityForTest::Root() const {
  absl::MutexLock lock(&mutex_);
  return PemOf(root_.get());
}

void AuthorityForTest::SetLifetime(absl::Duration lifetime) {
  absl::MutexLock lock(&mutex_);
  lifetime_ = lifetime;
}

}  // namespace weft::webhook
