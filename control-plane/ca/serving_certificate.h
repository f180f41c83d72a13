// The control plane's own serving certificate, issued by its CA and renewed in place: gRPC reads
// the file again when it changes, and open connections stay.
#ifndef WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_
#define WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_

#include <memory>
#include <string>
#include <string_view>
#include <thread>

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

// The identity that sidecars expect of their control plane.
SpiffeId ControlPlaneIdentity(std::string_view trust_domain);

// The DNS names under which it may be dialled.
std::vector<std::string> ControlPlaneDnsNames();

// Keeps STATE/serving.pem valid from Start on until it is destroyed, with a thread of its own that
// sleeps until two thirds of the certificate's life are over.
class ServingCertificate {
 public:
  // Writes the first certificate. `authority` must outlive the object. The lifetime is the
  // authority's leaf lifetime, a minute at least.
  static absl::StatusOr<std::unique_ptr<ServingCertificate>> Start(StateDirectory state,
                                                                   const Authority& authority);
  ~ServingCertificate();
  ServingCertificate(const ServingCertificate&) = delete;
  ServingCertificate& operator=(const ServingCertificate&) = delete;

  // Replaces the certificate now.
  absl::Status Renew(absl::Time now);

  // TLS for a gRPC server from the files of the state directory: mesh certificates of clients are
  // verified when they present one, which they need not.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const;

 private:
  ServingCertificate(StateDirectory state, const Authority& authority);
  void Run();
  absl::Time DueTime() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const StateDirectory state_;
  const Authority& authority_;
  absl::Mutex mu_;
  absl::Time not_before_ ABSL_GUARDED_BY(mu_);
  absl::Time not_after_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_SERVING_CERTIFICATE_H_
