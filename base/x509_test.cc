#include "openssl/x509.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/x509_certificate.h"
#include "base/x509_issuer.h"
#include "base/x509_key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/digest.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/rsa.h"
#include "openssl/x509v3.h"

namespace weft::x509 {
namespace {

using ::testing::HasSubstr;

const SpiffeId kTea{"cluster.local", "shop", "tea"};

struct Ca {
  PrivateKey key;
  Certificate certificate;
};

Ca MakeCa(absl::Time now, RootOptions options = {}) {
  PrivateKey key = *PrivateKey::Generate();
  Certificate certificate = *IssueRoot(key, options, now);
  return {std::move(key), std::move(certificate)};
}

// A certificate with the given alternative names, signed by nobody in particular.
Certificate WithAlternativeNames(const char* names) {
  PrivateKey key = *PrivateKey::Generate();
  bssl::UniquePtr<X509> x(X509_new());
  X509_set_version(x.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 1);
  ASN1_TIME_adj(X509_getm_notBefore(x.get()), 0, 0, 0);
  ASN1_TIME_adj(X509_getm_notAfter(x.get()), 0, 1, 0);
  X509_set_pubkey(x.get(), key.get());
  if (names != nullptr) {
    bssl::UniquePtr<X509_EXTENSION> extension(
        X509V3_EXT_nconf_nid(nullptr, nullptr, NID_subject_alt_name, const_cast<char*>(names)));
    X509_add_ext(x.get(), extension.get(), -1);
  }
  X509_sign(x.get(), key.get(), EVP_sha256());
  return Certificate(std::move(x));
}

std::string RequestOf(EVP_PKEY* claimed, EVP_PKEY* signer) {
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  X509_REQ_set_version(request.get(), 0);
  X509_REQ_set_pubkey(request.get(), claimed);
  X509_REQ_sign(request.get(), signer, EVP_sha256());
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  const uint8_t* data = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

bssl::UniquePtr<EVP_PKEY> RsaKey(int bits) {
  bssl::UniquePtr<BIGNUM> e(BN_new());
  BN_set_word(e.get(), RSA_F4);
  bssl::UniquePtr<RSA> rsa(RSA_new());
  RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_set1_RSA(key.get(), rsa.get());
  return key;
}

bssl::UniquePtr<EVP_PKEY> EcKey(int curve) {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  EC_KEY_generate_key(ec.get());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_set1_EC_KEY(key.get(), ec.get());
  return key;
}

TEST(X509Test, AKeyGoesThroughPemAndBack) {
  const PrivateKey key = *PrivateKey::Generate();
  const std::string pem = *key.ToPem();
  EXPECT_THAT(pem, HasSubstr("-----BEGIN PRIVATE KEY-----"));
  const absl::StatusOr<PrivateKey> again = PrivateKey::FromPem(pem);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(EVP_PKEY_cmp(key.get(), again->get()), 1);
  EXPECT_TRUE(key.Public().CheckStrength().ok());
}

TEST(X509Test, AnythingElseIsNoPrivateKey) {
  const std::string pem = *PrivateKey::Generate()->ToPem();
  for (const std::string& bad :
       {std::string(), std::string("-----BEGIN PRIVATE KEY-----\n"), pem.substr(0, pem.size() / 2),
        std::string(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        std::string(100'000, 'A'), std::string("\0\0\0", 3)}) {
    EXPECT_EQ(PrivateKey::FromPem(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(X509Test, ALeafCarriesItsIdentityAndChainsToItsRoot) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const Ca ca = MakeCa(now);
  EXPECT_TRUE(ca.certificate.IsCa());
  EXPECT_TRUE(ca.certificate.IsSelfSigned());
  EXPECT_TRUE(ca.certificate.BelongsTo(ca.key));
  const PrivateKey key = *PrivateKey::Generate();
  const absl::StatusOr<Certificate> leaf =
      IssueLeaf(ca.certificate, ca.key, key.Public(),
                {.identity = kTea, .dns_names = {"localhost", "tea.shop.svc"}}, now);
  ASSERT_TRUE(leaf.ok()) << leaf.status();
  const Certificate parsed = *Certificate::FromPem(*leaf->ToPem());
  EXPECT_EQ(*parsed.Identity(), kTea);
  EXPECT_EQ(parsed.DnsNames(), (std::vector<std::string>{"localhost", "tea.shop.svc"}));
  EXPECT_EQ(parsed.NotAfter(), now + absl::Hours(1));
  EXPECT_EQ(parsed.NotBefore(), now - absl::Seconds(60));
  EXPECT_FALSE(parsed.IsCa());
  EXPECT_FALSE(parsed.IsSelfSigned());
  EXPECT_TRUE(parsed.BelongsTo(key));
  EXPECT_FALSE(parsed.BelongsTo(ca.key));
  EXPECT_EQ(parsed.Serial().size(), 32U);
  EXPECT_EQ(parsed.Fingerprint().size(), 64U);
  EXPECT_EQ(parsed.Fingerprint(), leaf->Fingerprint());
  EXPECT_TRUE(VerifyChain(parsed, {}, {ca.certificate}, now).ok());
}

TEST(X509Test, AChainIsRefusedOutsideItsValidityAndUnderAnotherRoot) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const Ca ca = MakeCa(now);
  const Ca other = MakeCa(now);
  const PrivateKey key = *PrivateKey::Generate();
  const Certificate leaf =
      *IssueLeaf(ca.certificate, ca.key, key.Public(), {.identity = kTea}, now);
  EXPECT_THAT(VerifyChain(leaf, {}, {ca.certificate}, now + absl::Hours(2)).message(),
              HasSubstr("expired"));
  EXPECT_FALSE(VerifyChain(leaf, {}, {ca.certificate}, now - absl::Hours(2)).ok());
  EXPECT_FALSE(VerifyChain(leaf, {}, {other.certificate}, now).ok());
  EXPECT_FALSE(VerifyChain(leaf, {}, {}, now).ok());
  // A leaf is no CA: what it signs is worth nothing.
  const Certificate forged = *IssueLeaf(leaf, key, other.key.Public(), {.identity = kTea}, now);
  EXPECT_FALSE(VerifyChain(forged, {leaf}, {ca.certificate}, now).ok());
}

TEST(X509Test, AShortLifetimeIsNotEatenByBackdating) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000) + absl::Milliseconds(900);
  const Ca ca = MakeCa(now);
  const PrivateKey key = *PrivateKey::Generate();
  for (const int seconds : {2, 5, 10, 60, 600, 3600}) {
    const Certificate leaf =
        *IssueLeaf(ca.certificate, ca.key, key.Public(),
                   {.identity = kTea, .lifetime = absl::Seconds(seconds)}, now);
    const absl::Duration whole = leaf.NotAfter() - leaf.NotBefore();
    const absl::Time renewal = leaf.NotBefore() + whole * 2 / 3;
    EXPECT_GT(renewal, now) << seconds;
    EXPECT_LE(leaf.NotBefore(), now) << seconds;
    EXPECT_GT(leaf.NotAfter(), now + absl::Seconds(seconds - 1)) << seconds;
  }
}

TEST(X509Test, ALeafNeverOutlivesItsCa) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const Ca ca = MakeCa(now, {.lifetime = absl::Minutes(10)});
  const PrivateKey key = *PrivateKey::Generate();
  const Certificate leaf =
      *IssueLeaf(ca.certificate, ca.key, key.Public(), {.identity = kTea}, now);
  EXPECT_EQ(leaf.NotAfter(), ca.certificate.NotAfter());
  EXPECT_EQ(
      IssueLeaf(ca.certificate, ca.key, key.Public(), {.identity = kTea}, now + absl::Minutes(11))
          .status()
          .code(),
      absl::StatusCode::kFailedPrecondition);
}

TEST(X509Test, OptionsOutOfBoundsAreRefused) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const Ca ca = MakeCa(now);
  const PublicKey key = PrivateKey::Generate()->Public();
  for (const LeafOptions& bad :
       std::vector<LeafOptions>{{.identity = kTea, .lifetime = absl::Milliseconds(999)},
                                {.identity = kTea, .dns_names = {"a,URI:spiffe://evil/ns/a/sa/b"}},
                                {.identity = kTea, .dns_names = {""}},
                                {.identity = kTea, .dns_names = std::vector<std::string>(33, "a")},
                                {.identity = {"cluster.local", "shop", "../admin"}},
                                {.identity = {}}}) {
    EXPECT_EQ(IssueLeaf(ca.certificate, ca.key, key, bad, now).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  const PrivateKey root_key = *PrivateKey::Generate();
  EXPECT_FALSE(IssueRoot(root_key, {.path_length = 2}, now).ok());
  EXPECT_FALSE(IssueRoot(root_key, {.lifetime = absl::ZeroDuration()}, now).ok());
}

TEST(X509Test, AnIdentityIsExactlyOneSpiffeUri) {
  struct Case {
    const char* names;
    const char* error;  // nullptr: accepted
  };
  for (const Case& c : std::vector<Case>{
           {"URI:spiffe://cluster.local/ns/shop/sa/tea", nullptr},
           {"DNS:tea,URI:spiffe://cluster.local/ns/shop/sa/tea,DNS:x", nullptr},
           {nullptr, "no subject alternative name"},
           {"DNS:tea", "0 URI names"},
           {"URI:spiffe://cluster.local/ns/shop/sa/tea,URI:spiffe://cluster.local/ns/shop/sa/tea",
            "2 URI names"},
           {"URI:spiffe://cluster.local/ns/shop/sa/tea,URI:https://x", "2 URI names"},
           {"URI:https://cluster.local/ns/shop/sa/tea", "does not start with spiffe://"},
       }) {
    const Certificate certificate = WithAlternativeNames(c.names);
    const absl::StatusOr<SpiffeId> id = certificate.Identity();
    if (c.error == nullptr) {
      ASSERT_TRUE(id.ok()) << id.status();
      EXPECT_EQ(*id, kTea);
    } else {
      EXPECT_THAT(id.status().message(), HasSubstr(c.error));
    }
  }
}

TEST(X509Test, MalformedCertificatesAreErrors) {
  const absl::Time now = absl::Now();
  const std::string pem = *MakeCa(now).certificate.ToPem();
  const std::string flipped = absl::StrReplaceAll(pem, {{"MII", "AII"}});
  std::string many;
  for (int i = 0; i < 65; ++i) many += pem;
  for (const std::string& bad :
       {std::string(), std::string("hello"), pem.substr(0, pem.size() / 2),
        pem + pem.substr(0, pem.size() / 2), many, std::string(300'000, 'x') + pem,
        std::string("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
        std::string("-----BEGIN CERTIFICATE-----\n") + std::string(70, '\0')}) {
    EXPECT_EQ(Certificate::ListFromPem(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad.substr(0, 100);
  }
  EXPECT_EQ(Certificate::ListFromPem(pem + *PrivateKey::Generate()->ToPem() + pem)->size(), 2U);
}

TEST(X509Test, EveryTruncationAndBitFlipOfDerIsAnErrorOrACertificate) {
  const Certificate good = MakeCa(absl::Now()).certificate;
  uint8_t* raw = nullptr;
  const int size = i2d_X509(good.get(), &raw);
  ASSERT_GT(size, 0);
  const std::string der(reinterpret_cast<const char*>(raw), size);
  OPENSSL_free(raw);
  EXPECT_TRUE(Certificate::FromDer(der).ok());
  EXPECT_FALSE(Certificate::FromDer(der + "x").ok());
  EXPECT_FALSE(Certificate::FromDer(std::string(70'000, '0')).ok());
  for (size_t i = 0; i < der.size(); ++i) {
    EXPECT_FALSE(Certificate::FromDer(der.substr(0, i)).ok());
    std::string mutated = der;
    mutated[i] = static_cast<char>(mutated[i] ^ 0x11);
    const absl::StatusOr<Certificate> parsed = Certificate::FromDer(mutated);
    if (!parsed.ok()) continue;
    // Whatever still parses must be safe to question, and must not verify.
    (void)parsed->Identity();
    (void)parsed->NotAfter();
    (void)parsed->Serial();
    (void)parsed->DnsNames();
    EXPECT_FALSE(parsed->IsSelfSigned()) << "byte " << i;
  }
}

TEST(X509Test, ARequestProvesPossessionOfItsKey) {
  const PrivateKey key = *PrivateKey::Generate();
  const absl::StatusOr<std::string> request = CreateRequest(key, kTea);
  ASSERT_TRUE(request.ok()) << request.status();
  const absl::StatusOr<PublicKey> checked = CheckRequest(*request);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(EVP_PKEY_cmp(checked->get(), key.get()), 1);
}

TEST(X509Test, RequestsThatAreMalformedForgedOrWeakAreRefusedWithTheReason) {
  const PrivateKey key = *PrivateKey::Generate();
  const PrivateKey thief = *PrivateKey::Generate();
  const bssl::UniquePtr<EVP_PKEY> rsa1024 = RsaKey(1024);
  const bssl::UniquePtr<EVP_PKEY> p224 = EcKey(NID_secp224r1);
  const std::string good = *CreateRequest(key, kTea);
  struct Case {
    std::string pem;
    const char* error;
  };
  for (const Case& c : std::vector<Case>{
           {"", "empty"},
           {std::string(17 * 1024, 'A'), "longer than 16 KiB"},
           {"no request", "not a PKCS#10"},
           {good.substr(0, good.size() / 2), "not a PKCS#10"},
           {RequestOf(key.get(), thief.get()), "not made by its own key"},
           {RequestOf(rsa1024.get(), rsa1024.get()), "1024 bits"},
           {RequestOf(p224.get(), p224.get()), "neither P-256 nor P-384"},
       }) {
    const absl::Status status = CheckRequest(c.pem).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(c.error));
  }
  const bssl::UniquePtr<EVP_PKEY> rsa2048 = RsaKey(2048);
  EXPECT_TRUE(CheckRequest(RequestOf(rsa2048.get(), rsa2048.get())).ok());
}

}  // namespace
}  // namespace weft::x509
