// A control plane of few lines for tests: real gRPC over real TLS, resources set by the test.
#ifndef WEFT_SIDECAR_DISCOVERY_TESTING_TEST_CONTROL_PLANE_H_
#define WEFT_SIDECAR_DISCOVERY_TESTING_TEST_CONTROL_PLANE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "grpcpp/server.h"
#include "sidecar/discovery/testing/tls_front.h"
#include "weft/v1/certificate.grpc.pb.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {

// Any thread.
class TestControlPlane final
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::Service,
      public weft::v1::CertificateService::Service {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  static constexpr char kTrustDomain[] = "test.mesh";
  static constexpr char kToken[] = "secret-join-token";

  TestControlPlane();
  ~TestControlPlane() override;

  // The port stays the same over Down() and Up().
  std::string address() const;
  const std::string& root_pem() const { return root_pem_; }
  void Down();
  void Up();

  // Sends it to whom has subscribed, now or later; a null message removes it.
  void Set(const std::string& type, const std::string& name,
           const google::protobuf::Message* message);
  void SetDefaults(const std::string& workload);
  void SetLeafLifetime(absl::Duration lifetime);

  // What has come so far.
  std::vector<Request> requests() const;
  int streams() const;
  int signed_by_token() const;
  int signed_by_certificate() const;
  // Subscriptions of the streams that are open, "type name".
  std::set<std::string> subscribed() const;
  const TlsFront& front() const { return *front_; }

  grpc::Status DeltaAggregatedResources(
      grpc::ServerContext* context, grpc::ServerReaderWriter<Response, Request>* stream) override;
  grpc::Status Sign(grpc::ServerContext* context, const weft::v1::SignRequest* request,
                    weft::v1::SignResponse* response) override;

 private:
  struct Stream {
    grpc::ServerReaderWriter<Response, Request>* stream;
    std::set<std::pair<std::string, std::string>> subscribed;
  };
  struct Held {
    std::string version;
    std::string bytes;
  };

  void Send(Stream& stream, const std::string& type, const std::string& name, bool removed_too);

  x509::PrivateKey root_key_;
  std::optional<x509::Certificate> root_;
  std::string root_pem_;
  x509::PrivateKey key_;
  std::string chain_pem_;
  uint16_t port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<TlsFront> front_;

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Held> resources_;
  std::set<Stream*> streams_;
  std::vector<Request> requests_;
  absl::Duration leaf_lifetime_ = absl::Hours(1);
  int next_version_ = 1;
  int opened_streams_ = 0;
  int signed_by_token_ = 0;
  int signed_by_certificate_ = 0;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_TESTING_TEST_CONTROL_PLANE_H_
