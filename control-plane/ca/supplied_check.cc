// What a supplied signing certificate must be.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/supplied_signer.h"
#include "openssl/err.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace weft::ca {
namespace {

constexpr size_t kMaxChain = 7;  // sidecars take eight, with the leaf

absl::Status Wrong(std::string_view part, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(ToAbsl(part), ": ", what));
}

std::string Date(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

absl::Status CheckSigner(const x509::Certificate& signer, absl::Time now) {
  if (!signer.IsCa()) {
    return Wrong("tls.crt", "the first certificate is not a CA certificate that may sign others");
  }
  if (now >= signer.NotAfter()) {
    return Wrong("tls.crt", absl::StrCat("the certificate expired at ", Date(signer.NotAfter())));
  }
  if (now < signer.NotBefore()) {
    return Wrong("tls.crt", absl::StrCat("the certificate is valid only from ",
                                         Date(signer.NotBefore()), "; is the clock right?"));
  }
  return absl::OkStatus();
}

// Extended key usage of a CA binds what is below it.
absl::Status CheckPurposes(const std::vector<x509::Certificate>& chain) {
  for (const x509::Certificate& certificate : chain) {
    for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
      const bool fits = X509_check_purpose(certificate.get(), purpose, 1) == 1;
      ERR_clear_error();
      if (!fits) {
        return Wrong("tls.crt",
                     "the extended key usage of a CA in the chain does not allow both server and "
                     "client authentication");
      }
    }
  }
  return absl::OkStatus();
}

// How many CAs may be below one. Peers that take a root for what it is do not ask its path length,
// others do (RFC 5280 section 6.1 leaves it open).
absl::Status CheckPathLengths(const Trust& trust) {
  const std::vector<x509::Certificate>& chain = trust.intermediates;
  const auto fits = [](const x509::Certificate& ca, size_t below) {
    const long length = X509_get_pathlen(ca.get());
    return length < 0 || static_cast<size_t>(length) >= below;
  };
  for (size_t i = 0; i < chain.size(); ++i) {
    if (!fits(chain[i], i)) {
      return Wrong("tls.crt", absl::StrCat("the path length of certificate ", i + 1,
                                           " does not allow those before it"));
    }
  }
  for (const x509::Certificate& root : trust.roots) {
    if (!chain.empty() && X509_check_issued(root.get(), chain.back().get()) == X509_V_OK &&
        !fits(root, chain.size())) {
      return Wrong("ca.crt", "the root's path length does not allow the chain of tls.crt");
    }
  }
  return absl::OkStatus();
}

// Signs for a workload and verifies as a peer would: everything else that binds the chain.
absl::Status CheckBySigning(const Trust& trust, std::string_view trust_domain, absl::Time now) {
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) return key.status();
  absl::StatusOr<x509::Certificate> leaf = x509::IssueLeaf(
      trust.signer, trust.signer_key, key->Public(),
      {.identity = {std::string(trust_domain), "default", "default"}, .lifetime = absl::Minutes(1)},
      now);
  if (!leaf.ok()) return Wrong("tls.crt", leaf.status().message());
  if (absl::Status accepted = x509::VerifyChain(*leaf, trust.intermediates, trust.roots, now);
      !accepted.ok()) {
    return Wrong("tls.crt and ca.crt",
                 absl::StrCat("a certificate for a workload of trust domain ", ToAbsl(trust_domain),
                              ", signed with it: ", accepted.message()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Trust> CheckSupplied(const SuppliedPem& pem, std::string_view trust_domain,
                                    absl::Time now) {
  absl::StatusOr<std::vector<x509::Certificate>> chain = x509::Certificate::ListFromPem(pem.chain);
  if (!chain.ok()) return Wrong("tls.crt", chain.status().message());
  if (chain->size() > kMaxChain) {
    return Wrong("tls.crt",
                 absl::StrCat("it has ", chain->size(), " certificates, more than ", kMaxChain));
  }
  absl::StatusOr<std::vector<x509::Certificate>> roots = x509::Certificate::ListFromPem(pem.roots);
  if (!roots.ok()) return Wrong("ca.crt", roots.status().message());
  for (const x509::Certificate& root : *roots) {
    if (!root.IsCa()) return Wrong("ca.crt", "a certificate in it is not a CA certificate");
  }
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::FromPem(pem.key);
  if (!key.ok()) return Wrong("tls.key", key.status().message());
  if (absl::Status strong = key->Public().CheckStrength(); !strong.ok()) {
    return Wrong("tls.key", strong.message());
  }
  const x509::Certificate& signer = chain->front();
  if (!signer.BelongsTo(*key)) {
    return Wrong("tls.key", "the key does not belong to the first certificate of tls.crt");
  }
  if (absl::Status fit = CheckSigner(signer, now); !fit.ok()) return fit;
  if (absl::Status fit = CheckPurposes(*chain); !fit.ok()) return fit;
  Trust trust{.signer = signer, .signer_key = *std::move(key), .intermediates = {}, .roots = {}};
  // A root is no part of the chain that is presented.
  for (const x509::Certificate& certificate : *chain) {
    if (!certificate.IsSelfSigned()) trust.intermediates.push_back(certificate);
  }
  // Expired roots in a bundle are forgotten there, not relied on.
  for (x509::Certificate& root : *roots) {
    if (now < root.NotAfter()) trust.roots.push_back(std::move(root));
  }
  if (trust.roots.empty()) return Wrong("ca.crt", "every certificate in it has expired");
  if (absl::Status fit = CheckPathLengths(trust); !fit.ok()) return fit;
  if (absl::Status accepted = CheckBySigning(trust, trust_domain, now); !accepted.ok()) {
    return accepted;
  }
  return trust;
}

}  // namespace weft::ca
