// For tests: a control plane on a loopback port with real TLS and a catalogue that the test fills,
// and sidecars that speak to it.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_TEST_CONTROL_PLANE_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_TEST_CONTROL_PLANE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/certificate_service.h"
#include "control-plane/ca/join_token_store.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/temporary_directory.h"
#include "control-plane/discovery/catalogue.h"
#include "control-plane/discovery/discovery_service.h"
#include "control-plane/discovery/hub.h"
#include "control-plane/grpc_server.h"
#include "control-plane/metrics.h"
#include "grpcpp/channel.h"

namespace weft::discovery {

// A catalogue of plain text: resources' bytes are what the test says, versions "v" and those bytes.
class TextCatalogue final : public Catalogue {
 public:
  ResourcePtr Get(const compile::ResourceKey& key) override;
  void Release(const compile::ResourceKey& key) override;
  std::optional<SpiffeId> IdentityOf(std::string_view workload) const override;

  void AddPod(const std::string& workload, const SpiffeId& identity);
  // Without announcing it.
  void Set(const compile::ResourceKey& key, const std::string& bytes);
  void Remove(const compile::ResourceKey& key);
  // Waits until nobody is interested in the key; false if that takes longer than ten seconds.
  bool AwaitReleased(const compile::ResourceKey& key);

 private:
  mutable absl::Mutex mu_;
  std::map<compile::ResourceKey, ResourcePtr> resources_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, SpiffeId> pods_ ABSL_GUARDED_BY(mu_);
  std::map<compile::ResourceKey, bool> wanted_ ABSL_GUARDED_BY(mu_);
};

class TestControlPlane {
 public:
  explicit TestControlPlane(Limits limits = {}, absl::Duration leaf_lifetime = absl::Hours(1));
  ~TestControlPlane();

  // A channel with the control plane's root and, if given, a certificate of `identity`.
  std::shared_ptr<grpc::Channel> Connect(const std::optional<SpiffeId>& identity);
  std::shared_ptr<grpc::Channel> ConnectWith(const std::string& root_pem,
                                             const std::string& key_pem,
                                             const std::string& chain_pem);

  // Changes a resource and announces it.
  void Change(const compile::ResourceKey& key, const std::string& bytes);
  void Remove(const compile::ResourceKey& key);

  ca::TemporaryDirectory directory;
  ca::StateDirectory state;
  ca::Authority authority;
  std::unique_ptr<ca::ServingCertificate> serving;
  Metrics metrics;
  TextCatalogue catalogue;
  ca::JoinTokenStore tokens;
  Hub hub;
  DiscoveryService discovery;
  ca::CertificateService certificates;
  std::unique_ptr<GrpcServer> server;
};

// One sidecar's stream, read with deadlines.
class TestSidecar {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  TestSidecar(std::shared_ptr<grpc::Channel> channel, std::string workload);
  ~TestSidecar();

  void Subscribe(compile::ResourceType type, const std::vector<std::string>& names,
                 const std::map<std::string, std::string>& versions = {});
  void Unsubscribe(compile::ResourceType type, const std::vector<std::string>& names);
  void Ack(const Response& response);
  void Nack(const Response& response, const std::string& why);
  void Send(Request request);

  // The next response; a default one if the stream has ended.
  Response Read();
  // Ends the stream from our side, and says how it ended.
  grpc::Status End();
  // How the control plane ended the stream.
  grpc::Status Ended();

 private:
  const std::string workload_;
  std::unique_ptr<AdsService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> stream_;
  bool first_ = true;
  bool finished_ = false;
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_TEST_CONTROL_PLANE_H_
