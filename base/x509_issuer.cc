#include "base/x509_issuer.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/digest.h"
#include "openssl/err.h"
#include "openssl/mem.h"
#include "openssl/pem.h"
#include "openssl/rand.h"
#include "openssl/stack.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace weft::x509 {
namespace {

constexpr absl::Duration kMaxBackdating = absl::Seconds(60);
constexpr size_t kMaxDnsNames = 32;
constexpr size_t kMaxDnsNameBytes = 253;

absl::Status Failed(std::string_view doing) {
  return CryptoError(absl::StatusCode::kInternal, doing);
}

// RFC 5280 section 4.1.2.2: positive, at most 20 octets. Here 16, the top bit cleared and the next
// set.
bool SetRandomSerial(X509* certificate) {
  std::array<uint8_t, 16> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x7f) | 0x40);
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetValidity(X509* certificate, absl::Time not_before, absl::Time not_after) {
  return ASN1_TIME_adj(X509_getm_notBefore(certificate), absl::ToTimeT(not_before), 0, 0) &&
         ASN1_TIME_adj(X509_getm_notAfter(certificate), absl::ToTimeT(not_after), 0, 0);
}

bool AddNamePart(X509_NAME* name, const char* field, std::string_view value) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

// Adds the extension as OpenSSL's configuration language writes it. For constant text only.
bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value)));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1);
}

bool AppendName(GENERAL_NAMES* names, int type, std::string_view value) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
  if (name == nullptr || text == nullptr ||
      !ASN1_STRING_set(text.get(), value.data(), static_cast<int>(value.size()))) {
    return false;
  }
  GENERAL_NAME_set0_value(name.get(), type, text.release());
  return bssl::PushToStack(names, std::move(name));
}

// The names go in as values, never through a configuration language that foreign text could break
// out of.
bssl::UniquePtr<GENERAL_NAMES> AlternativeNames(const SpiffeId& identity,
                                                const std::vector<std::string>& dns_names) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  if (names == nullptr || !AppendName(names.get(), GEN_URI, identity.ToString())) return nullptr;
  for (const std::string& dns : dns_names) {
    if (!AppendName(names.get(), GEN_DNS, dns)) return nullptr;
  }
  return names;
}

bool IsDnsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxDnsNameBytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

absl::Status CheckLeafOptions(const LeafOptions& options) {
  if (options.lifetime < absl::Seconds(1)) {
    return absl::InvalidArgumentError("a certificate's lifetime must be at least one second");
  }
  if (options.dns_names.size() > kMaxDnsNames) {
    return absl::InvalidArgumentError("a certificate has at most 32 DNS names");
  }
  for (const std::string& dns : options.dns_names) {
    if (!IsDnsName(dns)) {
      return absl::InvalidArgumentError(absl::StrCat("\"", dns, "\" is not a DNS name"));
    }
  }
  return SpiffeId::Parse(options.identity.ToString()).status();
}

}  // namespace

absl::StatusOr<std::string> CreateRequest(const PrivateKey& key, const SpiffeId& identity) {
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  bssl::UniquePtr<GENERAL_NAMES> names = AlternativeNames(identity, {});
  bssl::UniquePtr<STACK_OF(X509_EXTENSION)> extensions(sk_X509_EXTENSION_new_null());
  if (request == nullptr || names == nullptr || extensions == nullptr) {
    return Failed("cannot make a certificate request");
  }
  bssl::UniquePtr<X509_EXTENSION> alternative(
      X509V3_EXT_i2d(NID_subject_alt_name, /*crit=*/1, names.get()));
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (alternative == nullptr || bio == nullptr ||
      !bssl::PushToStack(extensions.get(), std::move(alternative)) ||
      !X509_REQ_set_version(request.get(), 0) || !X509_REQ_set_pubkey(request.get(), key.get()) ||
      !X509_REQ_add_extensions(request.get(), extensions.get()) ||
      !X509_REQ_sign(request.get(), key.get(), EVP_sha256()) ||
      !PEM_write_bio_X509_REQ(bio.get(), request.get()) ||
      !BIO_mem_contents(bio.get(), &data, &size)) {
    return Failed("cannot make a certificate request");
  }
  return std::string(reinterpret_cast<const char*>(data), size);
}

absl::StatusOr<PublicKey> CheckRequest(std::string_view pem) {
  if (pem.empty()) return absl::InvalidArgumentError("csr_pem is empty");
  if (pem.size() > kMaxRequestBytes) {
    return absl::InvalidArgumentError("csr_pem is longer than 16 KiB");
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return Failed("csr_pem");
  bssl::UniquePtr<X509_REQ> request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) {
    return CryptoError(absl::StatusCode::kInvalidArgument,
                       "csr_pem is not a PKCS#10 certificate request");
  }
  bssl::UniquePtr<EVP_PKEY> key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr) {
    return CryptoError(absl::StatusCode::kInvalidArgument, "csr_pem has no readable public key");
  }
  PublicKey checked(std::move(key));
  // Strength first: verifying with an absurdly large key would be work for nothing.
  if (absl::Status strength = checked.CheckStrength(); !strength.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("csr_pem: ", strength.message()));
  }
  if (X509_REQ_verify(request.get(), checked.get()) != 1) {
    return CryptoError(absl::StatusCode::kInvalidArgument,
                       "csr_pem: its signature was not made by its own key");
  }
  return checked;
}

absl::StatusOr<Certificate> IssueRoot(const PrivateKey& key, const RootOptions& options,
                                      absl::Time now) {
  if (options.path_length < 0 || options.path_length > 1) {
    return absl::InvalidArgumentError("a root's path length is 0 or 1");
  }
  if (options.lifetime < absl::Seconds(1)) {
    return absl::InvalidArgumentError("a root's lifetime must be at least one second");
  }
  bssl::UniquePtr<X509> root(X509_new());
  if (root == nullptr) return Failed("cannot issue a root certificate");
  X509_NAME* name = X509_get_subject_name(root.get());
  const std::string constraints = absl::StrCat("critical,CA:TRUE,pathlen:", options.path_length);
  if (!X509_set_version(root.get(), X509_VERSION_3) || !SetRandomSerial(root.get()) ||
      !SetValidity(root.get(), now - kMaxBackdating, now + options.lifetime) ||
      !AddNamePart(name, "O", options.organization) ||
      !AddNamePart(name, "CN", options.common_name) || !X509_set_issuer_name(root.get(), name) ||
      !X509_set_pubkey(root.get(), key.get()) ||
      !AddExtension(root.get(), root.get(), NID_basic_constraints, constraints.c_str()) ||
      !AddExtension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(root.get(), root.get(), NID_subject_key_identifier, "hash") ||
      !X509_sign(root.get(), key.get(), EVP_sha256())) {
    return Failed("cannot issue a root certificate");
  }
  return Certificate(std::move(root));
}

absl::StatusOr<Certificate> IssueLeaf(const Certificate& ca, const PrivateKey& ca_key,
                                      const PublicKey& subject, const LeafOptions& options,
                                      absl::Time now) {
  if (absl::Status valid = CheckLeafOptions(options); !valid.ok()) return valid;
  if (now >= ca.NotAfter()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the CA certificate expired at ", absl::FormatTime(ca.NotAfter())));
  }
  const absl::Duration backdating = std::min(kMaxBackdating, options.lifetime / 10);
  const absl::Time not_before = std::max(now - backdating, ca.NotBefore());
  const absl::Time not_after = std::min(now + options.lifetime, ca.NotAfter());
  bssl::UniquePtr<X509> leaf(X509_new());
  bssl::UniquePtr<GENERAL_NAMES> names = AlternativeNames(options.identity, options.dns_names);
  if (leaf == nullptr || names == nullptr) return Failed("cannot issue a certificate");
  if (!X509_set_version(leaf.get(), X509_VERSION_3) || !SetRandomSerial(leaf.get()) ||
      !SetValidity(leaf.get(), not_before, not_after) ||
      !X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get())) ||
      !X509_set_pubkey(leaf.get(), subject.get()) ||
      !AddExtension(leaf.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(leaf.get(), ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(leaf.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      !AddExtension(leaf.get(), ca.get(), NID_authority_key_identifier, "keyid") ||
      !X509_add1_ext_i2d(leaf.get(), NID_subject_alt_name, names.get(), /*crit=*/1, 0) ||
      !X509_sign(leaf.get(), ca_key.get(), EVP_sha256())) {
    return Failed("cannot issue a certificate");
  }
  return Certificate(std::move(leaf));
}

}  // namespace weft::x509
