#include "control-plane/ca/authority.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/x509_issuer.h"

namespace weft::ca {
namespace {

constexpr size_t kMaxCaFileBytes = 64 * 1024;

struct Root {
  x509::Certificate certificate;
  x509::PrivateKey key;
};

// The remedy is the same whatever is wrong: the file is the mesh's trust, so only its owner may
// decide.
absl::Status Unusable(const std::string& path, std::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": ", ToAbsl(what),
                   ". Restore the file from a backup; or, if the mesh may start over with a ",
                   "new root (every sidecar must then join again), move it away and start again"));
}

absl::StatusOr<Root> Parse(const std::string& path, const std::string& pem, absl::Time now) {
  absl::StatusOr<std::vector<x509::Certificate>> certificates = x509::Certificate::ListFromPem(pem);
  if (!certificates.ok()) return Unusable(path, ToStd(certificates.status().message()));
  if (certificates->size() != 1) {
    return Unusable(path, ToStd(absl::StrCat("it holds ", certificates->size(),
                                             " certificates; one root is expected")));
  }
  const x509::Certificate& root = certificates->front();
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::FromPem(pem);
  if (!key.ok()) return Unusable(path, ToStd(key.status().message()));
  if (!root.BelongsTo(*key)) return Unusable(path, "the key does not belong to the certificate");
  if (!root.IsCa()) return Unusable(path, "the certificate is not a CA certificate");
  if (!root.IsSelfSigned()) return Unusable(path, "the certificate is not self-signed");
  if (now >= root.NotAfter()) {
    return Unusable(path,
                    ToStd(absl::StrCat("the certificate expired at ",
                                       absl::FormatTime(root.NotAfter(), absl::UTCTimeZone()))));
  }
  if (now < root.NotBefore()) {
    return Unusable(path,
                    ToStd(absl::StrCat("the certificate is valid only from ",
                                       absl::FormatTime(root.NotBefore(), absl::UTCTimeZone()),
                                       "; is this machine's clock right?")));
  }
  return Root{root, *std::move(key)};
}

absl::StatusOr<std::string> NewRootPem(const Authority::Options& options, absl::Time now) {
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) return key.status();
  x509::RootOptions root_options;
  root_options.common_name = absl::StrCat("Weft root of ", options.trust_domain);
  if (root_options.common_name.size() > 64) root_options.common_name = "Weft mesh root";
  absl::StatusOr<x509::Certificate> root = x509::IssueRoot(*key, root_options, now);
  if (!root.ok()) return root.status();
  absl::StatusOr<std::string> certificate_pem = root->ToPem();
  absl::StatusOr<std::string> key_pem = key->ToPem();
  if (!certificate_pem.ok()) return certificate_pem.status();
  if (!key_pem.ok()) return key_pem.status();
  return absl::StrCat(*certificate_pem, *key_pem);
}

}  // namespace

Authority::Authority(Options options, x509::Certificate root, x509::PrivateKey key,
                     std::vector<std::string> roots_pem)
    : options_(std::move(options)),
      root_(std::move(root)),
      key_(std::move(key)),
      roots_pem_(std::move(roots_pem)) {}

absl::StatusOr<Authority> Authority::Open(const StateDirectory& state, Options options,
                                          absl::Time now) {
  absl::StatusOr<std::string> pem = state.ReadSecret(kCaFile, kMaxCaFileBytes);
  if (absl::IsNotFound(pem.status())) {
    absl::StatusOr<std::string> fresh = NewRootPem(options, now);
    if (!fresh.ok()) return fresh.status();
    const absl::Status created = state.Create(kCaFile, *fresh, 0600);
    // Another process may have been first; its root counts then.
    if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
    if (created.ok()) WEFT_LOG_INFO("created a new mesh root in {}", state.PathOf(kCaFile));
    pem = state.ReadSecret(kCaFile, kMaxCaFileBytes);
  }
  if (!pem.ok()) return pem.status();
  absl::StatusOr<Root> root = Parse(state.PathOf(kCaFile), *pem, now);
  if (!root.ok()) return root.status();
  absl::StatusOr<std::string> root_pem = root->certificate.ToPem();
  if (!root_pem.ok()) return root_pem.status();
  if (absl::Status written = state.Write(kRootFile, *root_pem, 0644); !written.ok()) return written;
  return Authority(std::move(options), std::move(root->certificate), std::move(root->key),
                   {*std::move(root_pem)});
}

absl::StatusOr<x509::Certificate> Authority::Issue(const x509::PublicKey& subject,
                                                   const SpiffeId& identity,
                                                   const std::vector<std::string>& dns_names,
                                                   absl::Time now) const {
  return Issue(subject, identity, dns_names, now, options_.leaf_lifetime);
}

absl::StatusOr<x509::Certificate> Authority::Issue(const x509::PublicKey& subject,
                                                   const SpiffeId& identity,
                                                   const std::vector<std::string>& dns_names,
                                                   absl::Time now, absl::Duration lifetime) const {
  return x509::IssueLeaf(root_, key_, subject,
                         {.identity = identity, .dns_names = dns_names, .lifetime = lifetime}, now);
}

}  // namespace weft::ca
