// The mesh's certificate authority: signs short-lived workload certificates, and says whom peers
// should trust. Both may change while it runs.
#ifndef WEFT_CONTROL_PLANE_CA_AUTHORITY_H_
#define WEFT_CONTROL_PLANE_CA_AUTHORITY_H_

#include <functional>
#include <memory>
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
inline constexpr std::string_view kCaFile = "ca.pem";      // the root document, 0600
inline constexpr std::string_view kRootFile = "root.pem";  // trusted roots, for everybody

// Who signs and whom to trust, at one moment. Immutable.
struct Trust {
  x509::Certificate signer;
  x509::PrivateKey signer_key;
  // What stands between a leaf and its root, in the order of a chain: empty if a root signs.
  std::vector<x509::Certificate> intermediates;
  std::vector<x509::Certificate> roots;
};

// The root of the trust that ends first is what an operator must not miss.
absl::Time RootsNotAfter(const Trust& trust);

// A handle: copies are the same authority. Thread-safe.
class Authority {
 public:
  struct Options {
    std::string trust_domain = "cluster.local";
    absl::Duration leaf_lifetime = absl::Hours(1);
  };
  using Listener = std::function<void(const Trust&)>;

  // Keeps its listener subscribed while it lives; afterwards the listener is not called any more.
  using Subscription = std::shared_ptr<void>;

  Authority(Options options, std::shared_ptr<const Trust> trust);

  // The authority of a state directory as it is now: loads ca.pem, or creates it with a new root if
  // there is no such file, and writes root.pem. A ca.pem that cannot be used (unreadable, corrupt,
  // expired, not a CA, key and certificate of different pairs, readable by others) is
  // FailedPrecondition with what is wrong and what to do: it is never replaced.
  static absl::StatusOr<Authority> Open(const StateDirectory& state, Options options,
                                        absl::Time now);

  std::shared_ptr<const Trust> Current() const;

  // From now on `trust` counts. Calls the listeners on this thread, in the order of their
  // subscription, before it returns; Installs follow one another.
  void Install(std::shared_ptr<const Trust> trust);

  // The listener is called with each Install from now on.
  [[nodiscard]] Subscription Subscribe(Listener listener);

  // A certificate for `subject` in the authority's leaf lifetime, or in `lifetime` if that is
  // given. It never outlives the signer.
  absl::StatusOr<x509::Certificate> Issue(const x509::PublicKey& subject, const SpiffeId& identity,
                                          const std::vector<std::string>& dns_names,
                                          absl::Time now) const;
  absl::StatusOr<x509::Certificate> Issue(const x509::PublicKey& subject, const SpiffeId& identity,
                                          const std::vector<std::string>& dns_names, absl::Time now,
                                          absl::Duration lifetime) const;

  // The same as its holder presents it, with the trust that goes with it.
  struct Issued {
    x509::Certificate leaf;
    std::vector<std::string> chain_pem;  // leaf first, without the root
    std::vector<std::string> roots_pem;
  };
  absl::StatusOr<Issued> IssueChain(const x509::PublicKey& subject, const SpiffeId& identity,
                                    const std::vector<std::string>& dns_names, absl::Time now,
                                    absl::Duration lifetime) const;

  // What peers should trust.
  std::vector<std::string> RootsPem() const;

  absl::Time RootNotAfter() const { return RootsNotAfter(*Current()); }
  const std::string& trust_domain() const;
  absl::Duration leaf_lifetime() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The certificates as PEM, one string each; what cannot be encoded is left out and logged.
std::vector<std::string> ToPemList(const std::vector<x509::Certificate>& certificates);

// Writes the roots of `trust` to root.pem.
absl::Status WriteRoots(const StateDirectory& state, const Trust& trust);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_AUTHORITY_H_
