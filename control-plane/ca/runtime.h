// The identity part of a control plane put together: where the signing key comes from, what keeps
// it fresh, and the services on it.
#ifndef WEFT_CONTROL_PLANE_CA_RUNTIME_H_
#define WEFT_CONTROL_PLANE_CA_RUNTIME_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/authority_service.h"
#include "control-plane/ca/certificate_service.h"
#include "control-plane/ca/join_token_store.h"
#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/rotation_driver.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/state_directory.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/discovery/hub.h"
#include "control-plane/metrics.h"
#include "grpcpp/security/server_credentials.h"

namespace weft::ca {

class Runtime {
 public:
  struct Options {
    Authority::Options authority = {};
    RotationOptions rotation = {};
    std::string name_space = std::string(kDefaultNamespace);  // the control plane's own
    std::string replica = "control-plane";
    std::function<bool()> is_leader = [] { return true; };
  };

  // Opens what outlives the process. `metrics` must outlive the object.
  static absl::StatusOr<std::unique_ptr<Runtime>> Open(StateDirectory state, Options options,
                                                       Metrics& metrics, absl::Time now);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const Authority& authority() const { return *authority_; }
  const std::string& operator_token() const { return operator_token_; }

  // Writes the first serving certificate, tells the compiler the trust bundle from now on, and
  // begins to follow changes and to rotate. Once. Both must outlive the object, or Stop.
  absl::Status Start(compile::Compiler& compiler, const discovery::Hub& hub);

  // Ends what Start has begun.
  void Stop();

  // After Start: TLS for the gRPC server, and what it serves.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const { return serving_->Credentials(); }
  std::vector<grpc::Service*> Services();

 private:
  Runtime(StateDirectory state, Options options, Metrics& metrics);
  void Run();
  void Measure() const;

  const StateDirectory state_;
  const Options options_;
  Metrics& metrics_;
  std::string operator_token_;
  std::unique_ptr<RootKeeper> keeper_;
  std::unique_ptr<Authority> authority_;
  JoinTokenStore tokens_;

  std::unique_ptr<ServingCertificate> serving_;
  Authority::Subscription bundle_;
  std::unique_ptr<RotationDriver> rotation_;
  std::unique_ptr<CertificateService> certificates_;
  std::unique_ptr<AuthorityService> authority_service_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_RUNTIME_H_
