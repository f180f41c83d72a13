// The identity part of a control plane put together: where the signing key comes from, what keeps
// it fresh, and the services on it. With a Kubernetes API, secrets live there (weft-ca,
// weft-operator), service-account tokens are taken, and the roots are published (weft-root);
// without one, secrets are files of the state directory, and join tokens are taken.
#ifndef WEFT_CONTROL_PLANE_CA_RUNTIME_H_
#define WEFT_CONTROL_PLANE_CA_RUNTIME_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/authority_service.h"
#include "control-plane/ca/certificate_service.h"
#include "control-plane/ca/join_token_store.h"
#include "control-plane/ca/kubernetes/root_publisher.h"
#include "control-plane/ca/pod_token.h"
#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/rotation_driver.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/state_directory.h"
#include "control-plane/ca/supplied_signer.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/discovery/hub.h"
#include "control-plane/metrics.h"
#include "grpcpp/security/server_credentials.h"

namespace weft::ca {

// A signing certificate that the user supplies: files, or a Secret. All empty: none.
struct Supplied {
  std::string certificate, key, roots;  // PEM files
  std::string secret;                   // "[NAMESPACE/]NAME"
};

class Runtime {
 public:
  struct Options {
    Authority::Options authority = {};
    RotationOptions rotation = {};
    std::string name_space = std::string(kDefaultNamespace);  // the control plane's own
    std::string replica = "control-plane";
    std::function<bool()> is_leader = [] { return true; };
    kubernetes::Client* client = nullptr;  // null: no Kubernetes; must outlive the object
    Supplied supplied = {};
    // The webhook's service account gets certificates with these DNS names; empty: those of Service
    // weft-injector.
    std::vector<std::string> injector_dns_names = {};
  };

  // Opens what outlives the process. InvalidArgument: the options contradict one another.
  // `metrics` must outlive the object.
  static absl::StatusOr<std::unique_ptr<Runtime>> Open(StateDirectory state, Options options,
                                                       Metrics& metrics, absl::Time now);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const Authority& authority() const { return *authority_; }
  const std::string& operator_token() const { return operator_token_; }

  // What is wrong with the CA, for those who look at findings.
  std::vector<v1::Finding> Findings() const;

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
  absl::Status OpenRoot(absl::Time now);
  absl::Status OpenSupplied(absl::Time now);
  absl::Status OpenOperatorToken();
  void StartRotation();
  void Run();
  void Round(absl::Time now);
  void Publish(absl::Time now);
  bool AllAcknowledged() const;
  absl::Status Problem(absl::Time now) const;
  void Measure(absl::Time now) const;

  const StateDirectory state_;
  const Options options_;
  Metrics& metrics_;
  kubernetes::Cancellation cancellation_;
  std::string operator_token_;
  // One of the two.
  std::unique_ptr<RootKeeper> keeper_;
  std::unique_ptr<SuppliedKeeper> supplied_;
  std::unique_ptr<Authority> authority_;
  JoinTokenStore tokens_;

  compile::Compiler* compiler_ = nullptr;
  const discovery::Hub* hub_ = nullptr;
  std::unique_ptr<ServingCertificate> serving_;
  Authority::Subscription bundle_;
  std::unique_ptr<ReplicaBoard> board_;
  std::unique_ptr<RotationDriver> rotation_;
  std::unique_ptr<RootPublisher> publisher_;
  bool published_ = false;  // Run's: this replica led in the last round
  std::unique_ptr<PodTokenReviewer> reviewer_;
  std::unique_ptr<CertificateService> certificates_;
  std::unique_ptr<AuthorityService> authority_service_;
  std::atomic<bool> started_ = false;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_RUNTIME_H_
