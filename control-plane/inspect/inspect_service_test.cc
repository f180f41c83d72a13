#include "control-plane/inspect/inspect_service.h"

#include <chrono>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "control-plane/discovery/test_control_plane.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::inspect {
namespace {

using compile::ResourceType;
using ::testing::HasSubstr;

constexpr char kToken[] = "weft-operator-0123456789012345678901234567890123456789";
const SpiffeId kTea{"cluster.local", "shop", "tea"};
const SpiffeId kLoan{"cluster.local", "bank", "loan"};

// The service beside a control plane with sidecars; the compiler has no objects.
class InspectServiceTest : public ::testing::Test {
 protected:
  InspectServiceTest() {
    plane_.catalogue.AddPod("shop/tea-1", kTea);
    plane_.catalogue.AddPod("bank/loan-1", kLoan);
    v1::Finding finding;
    finding.set_severity(v1::Finding::ERROR);
    finding.set_object("shop.yaml");
    service_ = std::make_unique<InspectService>(
        compiler_, plane_.hub, kToken,
        About{.source = "dir:/m",
              .trust_domain = "cluster.local",
              .started = absl::FromUnixSeconds(1'800'000'000),
              .root_not_after = [this] { return plane_.authority.RootNotAfter(); },
              .source_findings = [finding] { return std::vector<v1::Finding>{finding}; }});
    server_ = *GrpcServer::Start("127.0.0.1:0", plane_.serving->Credentials(), {service_.get()});
    // Same certificates, another port.
    std::swap(plane_.server, server_);
    stub_ = v1::InspectService::NewStub(plane_.Connect(std::nullopt));
    std::swap(plane_.server, server_);
  }
  ~InspectServiceTest() override { server_->Shutdown(absl::ZeroDuration()); }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::InspectService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                    const Request& request, Response& response,
                    const std::string& authorization = std::string("Bearer ") + kToken) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    return (stub_.get()->*method)(&context, request, &response);
  }

  discovery::TestControlPlane plane_;
  compile::Compiler compiler_{{}};
  std::unique_ptr<InspectService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<v1::InspectService::Stub> stub_;
};

TEST_F(InspectServiceTest, OnlyTheOperatorsTokenIsAccepted) {
  using Stub = v1::InspectService::Stub;
  for (const std::string& bad :
       {std::string(), std::string("Bearer "), std::string("Bearer wrong"), std::string(kToken),
        std::string("Bearer ") + kToken + "x", "Basic " + std::string(kToken)}) {
    v1::GetStatusResponse status;
    v1::ListProxiesResponse proxies;
    v1::ListServicesResponse services;
    v1::ListSplitsResponse splits;
    v1::ResolveRouteResponse route;
    v1::GetProxyConfigResponse config;
    for (const grpc::Status& answer :
         {Call(&Stub::GetStatus, v1::GetStatusRequest(), status, bad),
          Call(&Stub::ListProxies, v1::ListProxiesRequest(), proxies, bad),
          Call(&Stub::ListServices, v1::ListServicesRequest(), services, bad),
          Call(&Stub::ListSplits, v1::ListSplitsRequest(), splits, bad),
          Call(&Stub::ResolveRoute, v1::ResolveRouteRequest(), route, bad),
          Call(&Stub::GetProxyConfig, v1::GetProxyConfigRequest(), config, bad)}) {
      EXPECT_EQ(answer.error_code(), grpc::StatusCode::UNAUTHENTICATED) << bad;
    }
  }
}

TEST_F(InspectServiceTest, StatusTellsAboutTheMeshAndItsMistakes) {
  v1::GetStatusResponse status;
  ASSERT_TRUE(Call(&v1::InspectService::Stub::GetStatus, v1::GetStatusRequest(), status).ok());
  EXPECT_EQ(status.source(), "dir:/m");
  EXPECT_TRUE(status.source_synced());
  EXPECT_EQ(status.trust_domain(), "cluster.local");
  EXPECT_EQ(status.started().seconds(), 1'800'000'000);
  EXPECT_EQ(status.root_not_after().seconds(),
            absl::ToUnixSeconds(plane_.authority.RootNotAfter()));
  EXPECT_EQ(status.connected_proxies(), 0U);
  ASSERT_EQ(status.findings_size(), 1);
  EXPECT_EQ(status.findings(0).object(), "shop.yaml");
}

TEST_F(InspectServiceTest, ProxiesAreListedByNamespaceWithTheirState) {
  discovery::TestSidecar tea(plane_.Connect(kTea), "shop/tea-1");
  discovery::TestSidecar loan(plane_.Connect(kLoan), "bank/loan-1");
  for (discovery::TestSidecar* sidecar : {&tea, &loan}) {
    sidecar->Subscribe(ResourceType::kMeshSettings, {"default"});
    (void)sidecar->Read();
  }
  v1::ListProxiesResponse all;
  ASSERT_TRUE(Call(&v1::InspectService::Stub::ListProxies, v1::ListProxiesRequest(), all).ok());
  ASSERT_EQ(all.proxies_size(), 2);
  EXPECT_EQ(all.proxies(0).id(), "bank/loan-1");
  EXPECT_EQ(all.proxies(1).id(), "shop/tea-1");
  EXPECT_EQ(all.proxies(1).spiffe_id(), kTea.ToString());
  EXPECT_FALSE(all.proxies(1).in_sync());  // unacknowledged
  v1::ListProxiesRequest request;
  request.set_namespace_("shop");
  v1::ListProxiesResponse shop;
  ASSERT_TRUE(Call(&v1::InspectService::Stub::ListProxies, request, shop).ok());
  ASSERT_EQ(shop.proxies_size(), 1);
  EXPECT_EQ(shop.proxies(0).id(), "shop/tea-1");
}

TEST_F(InspectServiceTest, AProxysConfigurationIsWhatWasSentLast) {
  v1::Destination destination;
  destination.set_service("shop/tea");
  const compile::ResourceKey key{ResourceType::kDestination, "10.0.0.1:80"};
  plane_.catalogue.Set(key, destination.SerializeAsString());
  discovery::TestSidecar tea(plane_.Connect(kTea), "shop/tea-1");
  tea.Subscribe(ResourceType::kDestination, {key.name, "10.0.0.2:80"});
  (void)tea.Read();
  v1::GetProxyConfigRequest request;
  request.set_id("shop/tea-1");
  v1::GetProxyConfigResponse config;
  ASSERT_TRUE(Call(&v1::InspectService::Stub::GetProxyConfig, request, config).ok());
  ASSERT_EQ(config.resources_size(), 1);
  EXPECT_EQ(config.resources(0).type(), "Destination");
  EXPECT_EQ(config.resources(0).name(), key.name);
  EXPECT_EQ(config.resources(0).destination().service(), "shop/tea");
}

TEST_F(InspectServiceTest, AProxyThatIsNotThereIsAnError) {
  v1::GetProxyConfigRequest request;
  v1::GetProxyConfigResponse config;
  request.set_id("shop/none");
  EXPECT_EQ(Call(&v1::InspectService::Stub::GetProxyConfig, request, config).error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.set_id("none");
  EXPECT_EQ(Call(&v1::InspectService::Stub::GetProxyConfig, request, config).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace weft::inspect
