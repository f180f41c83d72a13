// The control plane's own serving certificate, issued by its CA and renewed in place: gRPC reads
// the file again when it changes, and open connections stay.
#ifndef WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_
#define WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/state_directory.h"
#include "grpcpp/security/server_credentials.h"

namespace weft::ca {

// Key and certificate, 0600. In one file, so that one rename replaces both.
inline constexpr std::string_view kServingFile = "serving.pem";

inline constexpr std::string_view kDefaultNamespace = "weft-system";

// The identity that sidecars expect of their control plane.
SpiffeId ControlPlaneIdentity(std::string_view trust_domain);

// The DNS names under which it may be dialled where its namespace is `name_space`.
std::vector<std::string> ControlPlaneDnsNames(std::string_view name_space = kDefaultNamespace);

// Keeps STATE/serving.pem valid from Start on until it is destroyed, with a thread of its own that
// sleeps until two thirds of the certificate's life are over, or another certificate signs.
class ServingCertificate {
 public:
  // Writes the first certificate. Its lifetime is the authority's leaf lifetime, a minute at least.
  static absl::StatusOr<std::unique_ptr<ServingCertificate>> Start(
      StateDirectory state, const Authority& authority,
      std::string_view name_space = kDefaultNamespace);
  ~ServingCertificate();
  ServingCertificate(const ServingCertificate&) = delete;
  ServingCertificate& operator=(const ServingCertificate&) = delete;

  // Replaces the certificate now.
  absl::Status Renew(absl::Time now);

  // TLS for a gRPC server from the files of the state directory: mesh certificates of clients are
  // verified when they present one, which they need not.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const;

 private:
  ServingCertificate(StateDirectory state, const Authority& authority,
                     std::vector<std::string> dns_names);
  void Run();
  bool Awake() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || signer_changed_; }
  absl::Time DueTime() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const StateDirectory state_;
  Authority authority_;
  const std::vector<std::string> dns_names_;
  absl::Mutex mu_;
  absl::Time not_before_ ABSL_GUARDED_BY(mu_);
  absl::Time not_after_ ABSL_GUARDED_BY(mu_);
  std::string signer_ ABSL_GUARDED_BY(mu_);  // fingerprint
  bool signer_changed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Authority::Subscription subscription_;
  std::thread thread_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_
