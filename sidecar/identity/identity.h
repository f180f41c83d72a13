// Who this sidecar is: its key, its certificate and the roots it trusts, kept fresh.
#ifndef WEFT_SIDECAR_IDENTITY_IDENTITY_H_
#define WEFT_SIDECAR_IDENTITY_IDENTITY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sidecar/discovery/control_plane.h"
#include "sidecar/io/task.h"
#include "sidecar/tls/context.h"
#include "weft/v1/discovery.pb.h"

namespace weft::identity {

// The state of the identity, without secrets.
struct IdentityStatus {
  bool has_certificate = false;  // one that has not expired
  std::string spiffe_id;         // of the certificate, empty before the first
  std::string serial;            // lower-case hexadecimal
  absl::Time not_before;
  absl::Time not_after;
  absl::Time
      next_attempt;  // when renewal (or the next try) is due; InfiniteFuture while one is under way
  std::vector<std::string> chain_pem;
  std::vector<std::string> roots_pem;
  uint64_t certificates = 0;  // obtained since the start
  uint64_t failures = 0;      // attempts that failed
  std::string last_error;     // of the last attempt; empty if it succeeded
};

// Obtains a certificate with the join token, then renews it by itself at about two thirds of its
// life, each time with a new ECDSA P-256 key that never leaves this process's memory. A failed
// attempt is repeated with capped exponential backoff and jitter; when the certificate does not
// serve (expired, or refused), the token does. Main reactor only.
class Identity {
 public:
  using Listener = std::function<void(const std::shared_ptr<const tls::Context>&)>;

  struct Options {
    std::string workload = {};         // "<namespace>/<pod>"
    std::string trust_domain = {};     // what the certificate must be of
    std::string service_account = {};  // and whom it must name; empty: whomever the token yields
    std::string join_token_file = {};  // re-read on each attempt
    std::string
        trust_bundle_file;  // PEM; what the control plane's certificate may chain to at first
    io::Nanos attempt_timeout = 10 * io::kSecond;
    io::Nanos backoff_min = 200 * io::kMillisecond;
    io::Nanos backoff_max = 30 * io::kSecond;
  };

  // `control_plane` outlives this. InvalidArgument or NotFound if the trust bundle cannot be read.
  static absl::StatusOr<std::unique_ptr<Identity>> Create(Options options,
                                                          discovery::ControlPlane* control_plane);
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity();

  void Start();

  // Gives up what is under way and returns when nothing of it runs any more. Once.
  io::Task<void> Stop();

  // What workers use for mesh connections. Null until there is a certificate; the last one stays,
  // even expired.
  const std::shared_ptr<const tls::Context>& context() const;

  // What to dial the control plane with: as context(), or without a certificate while there is none
  // that is valid; trusts the roots of the trust bundle file too.
  std::shared_ptr<const tls::Context> ControlPlaneContext() const;

  // The listener is called with each new context(), on a new certificate and on changed roots; at
  // once if there is one already. It posts to the workers.
  void Subscribe(Listener listener);

  // New roots from discovery. InvalidArgument (and no change) if one of them is no certificate or
  // there is none.
  absl::Status SetTrustBundle(const weft::v1::TrustBundle& bundle);

  IdentityStatus status() const;

 private:
  class Impl;
  explicit Identity(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weft::identity

#endif  // WEFT_SIDECAR_IDENTITY_IDENTITY_H_
