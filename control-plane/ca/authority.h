// The mesh's certificate authority: one self-signed root, kept in the state directory, that signs
// short-lived workload certificates.
#ifndef WEFT_CONTROL_PLANE_CA_AUTHORITY_H_
#define WEFT_CONTROL_PLANE_CA_AUTHORITY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"
#include "control-plane/ca/state_directory.h"

namespace weft::ca {

// Files in the state directory.
inline constexpr std::string_view kCaFile = "ca.pem";      // certificate and key, 0600
inline constexpr std::string_view kRootFile = "root.pem";  // certificate only, for everybody

// Immutable after Open; safe to use from several threads.
class Authority {
 public:
  struct Options {
    std::string trust_domain = "cluster.local";
    absl::Duration leaf_lifetime = absl::Hours(1);
  };

  // Loads the root from ca.pem, or creates it if there is no such file, and writes root.pem. A
  // ca.pem that cannot be used (unreadable, corrupt, expired, not a CA, key and certificate of
  // different pairs, readable by others) is FailedPrecondition with what is wrong and what to do:
  // it is never replaced.
  static absl::StatusOr<Authority> Open(const StateDirectory& state, Options options,
                                        absl::Time now);

  // A certificate for `subject` in the authority's leaf lifetime, or in `lifetime` if that is
  // given.
  absl::StatusOr<x509::Certificate> Issue(const x509::PublicKey& subject, const SpiffeId& identity,
                                          const std::vector<std::string>& dns_names,
                                          absl::Time now) const;
  absl::StatusOr<x509::Certificate> Issue(const x509::PublicKey& subject, const SpiffeId& identity,
                                          const std::vector<std::string>& dns_names, absl::Time now,
                                          absl::Duration lifetime) const;

  // What peers should trust.
  const std::vector<std::string>& RootsPem() const { return roots_pem_; }

  absl::Time RootNotAfter() const { return root_.NotAfter(); }
  const std::string& trust_domain() const { return options_.trust_domain; }
  absl::Duration leaf_lifetime() const { return options_.leaf_lifetime; }

 private:
  Authority(Options options, x509::Certificate root, x509::PrivateKey key,
            std::vector<std::string> roots_pem);

  Options options_;
  x509::Certificate root_;
  x509::PrivateKey key_;
  std::vector<std::string> roots_pem_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_AUTHORITY_H_
