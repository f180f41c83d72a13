#include "sidecar/discovery/client.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/discovery/testing/reactor_run.h"
#include "sidecar/discovery/testing/test_control_plane.h"

namespace weft::discovery {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kWorkload[] = "shop/web-1";

// Remembers what a worker was told. Runs on the main reactor, too, so that the test needs no other
// thread.
class Recorder final : public Subscriber {
 public:
  void OnDestination(const std::string& name, Answer answer,
                     std::shared_ptr<const route::Destination> destination) override {
    destinations[name] = {answer, std::move(destination)};
  }
  void OnEndpoints(const std::string& name, Answer answer,
                   std::shared_ptr<const weft::v1::Endpoints> value) override {
    endpoints[name] = {answer, std::move(value)};
  }
  void OnWorkload(std::shared_ptr<const weft::v1::Workload> value) override {
    workload = std::move(value);
  }
  void OnSettings(std::shared_ptr<const weft::v1::MeshSettings> value) override {
    settings = std::move(value);
  }

  std::map<std::string, std::pair<Answer, std::shared_ptr<const route::Destination>>> destinations;
  std::map<std::string, std::pair<Answer, std::shared_ptr<const weft::v1::Endpoints>>> endpoints;
  std::shared_ptr<const weft::v1::Workload> workload;
  std::shared_ptr<const weft::v1::MeshSettings> settings;
};

weft::v1::Destination ToService(const std::string& name) {
  weft::v1::Destination destination;
  destination.set_protocol(weft::v1::PROTOCOL_HTTP);
  destination.set_service("shop/" + name);
  destination.set_service_port(80);
  auto* backend = destination.add_rules()->add_backends();
  backend->set_service("shop/" + name);
  backend->set_endpoints("shop/" + name + ":80");
  backend->set_weight(1);
  return destination;
}

weft::v1::Endpoints OneEndpoint(const std::string& ip) {
  weft::v1::Endpoints endpoints;
  auto* endpoint = endpoints.add_endpoints();
  endpoint->set_address(ip);
  endpoint->set_port(8080);
  return endpoints;
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    WriteFile("token", TestControlPlane::kToken);
    WriteFile("bundle.pem", plane_.root_pem());
    plane_.SetDefaults(kWorkload);
  }

  ~ClientTest() override {
    if (client_ != nullptr) {
      RunTask(reactor_, [](Client* c, identity::Identity* i) -> io::Task<void> {
        co_await c->Stop();
        co_await i->Stop();
      }(client_.get(), identity_.get()));
    }
  }

  static std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }
  static void WriteFile(const std::string& name, const std::string& content) {
    std::ofstream(Path(name)) << content << "\n";
  }

  void Start() {
    control_plane_ = *ControlPlane::Create(&reactor_, plane_.address(),
                                           ControlPlaneIdentity(TestControlPlane::kTrustDomain));
    identity_ = *identity::Identity::Create({.workload = kWorkload,
                                             .trust_domain = TestControlPlane::kTrustDomain,
                                             .service_account = "web",
                                             .join_token_file = Path("token"),
                                             .trust_bundle_file = Path("bundle.pem"),
                                             .backoff_min = 10 * io::kMillisecond,
                                             .backoff_max = 50 * io::kMillisecond},
                                            control_plane_.get());
    client_ =
        std::make_unique<Client>(Client::Options{.workload = kWorkload,
                                                 .trust_domain = TestControlPlane::kTrustDomain,
                                                 .backoff_min = 10 * io::kMillisecond,
                                                 .backoff_max = 50 * io::kMillisecond},
                                 control_plane_.get(), identity_.get());
    client_->AddWorker(&reactor_, &one_);
    client_->AddWorker(&reactor_, &two_);
    identity_->Start();
    client_->Start();
  }

  bool Until(const std::function<bool()>& condition) { return RunUntil(reactor_, condition); }

  io::Reactor reactor_;
  TestControlPlane plane_;
  Recorder one_;
  Recorder two_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<identity::Identity> identity_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, GetsACertificateByTokenAndItsOwnConfiguration) {
  Start();
  ASSERT_TRUE(Until([&] { return client_->status().configured(); }));
  ASSERT_TRUE(Until([&] { return one_.workload != nullptr && two_.settings != nullptr; }));
  EXPECT_EQ(one_.workload->pod(), "web-1");
  EXPECT_EQ(identity_->status().spiffe_id, "spiffe://test.mesh/ns/shop/sa/web");
  EXPECT_EQ(plane_.signed_by_token(), 1);
  EXPECT_GE(plane_.front().with_certificate(), 1);
  const auto requests = plane_.requests();
  ASSERT_FALSE(requests.empty());
  EXPECT_EQ(requests[0].node().id(), kWorkload);
  EXPECT_EQ(requests[0].node().user_agent_name(), "weft-sidecar");
}

TEST_F(ClientTest, AsksForADestinationOnceForAllWorkersAndForItsEndpointsAtOnce) {
  const auto destination = ToService("tea");
  const auto endpoints = OneEndpoint("10.0.0.7");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  plane_.Set("Endpoints", "shop/tea:80", &endpoints);
  Start();
  client_->Subscribe(&one_, OnDemand::kDestination, "10.1.0.1:80");
  client_->Subscribe(&two_, OnDemand::kDestination, "10.1.0.1:80");
  client_->Subscribe(&two_, OnDemand::kDestination, "192.0.2.1:443");
  ASSERT_TRUE(Until([&] {
    return one_.destinations.contains("10.1.0.1:80") && two_.destinations.contains("10.1.0.1:80") &&
           two_.destinations.contains("192.0.2.1:443");
  }));
  EXPECT_EQ(one_.destinations["10.1.0.1:80"].second, two_.destinations["10.1.0.1:80"].second);
  EXPECT_EQ(two_.destinations["192.0.2.1:443"].first, Answer::kAbsent);
  ASSERT_TRUE(Until([&] { return plane_.subscribed().contains("Endpoints shop/tea:80"); }));
  client_->Subscribe(&one_, OnDemand::kEndpoints, "shop/tea:80");
  ASSERT_TRUE(Until([&] { return one_.endpoints["shop/tea:80"].second != nullptr; }));
  EXPECT_THAT(client_->ConfigDump(), HasSubstr("10.0.0.7"));

  client_->Unsubscribe(&one_, OnDemand::kDestination, "10.1.0.1:80");
  client_->Unsubscribe(&one_, OnDemand::kEndpoints, "shop/tea:80");
  client_->Unsubscribe(&two_, OnDemand::kDestination, "192.0.2.1:443");
  ASSERT_TRUE(Until([&] { return !plane_.subscribed().contains("Destination 192.0.2.1:443"); }));
  EXPECT_THAT(plane_.subscribed(), Contains("Destination 10.1.0.1:80"));
  client_->Unsubscribe(&two_, OnDemand::kDestination, "10.1.0.1:80");
  ASSERT_TRUE(Until([&] { return !plane_.subscribed().contains("Endpoints shop/tea:80"); }));
}

TEST_F(ClientTest, RefusesWhatDoesNotCompileByNameAndKeepsTheLastGoodVersion) {
  auto destination = ToService("tea");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  Start();
  client_->Subscribe(&one_, OnDemand::kDestination, "10.1.0.1:80");
  ASSERT_TRUE(Until([&] { return one_.destinations.contains("10.1.0.1:80"); }));
  const auto good = one_.destinations["10.1.0.1:80"].second;

  auto* rule = destination.add_rules();
  *rule = destination.rules(0);
  auto* header = destination.mutable_rules(0)->add_matches()->add_headers();
  header->set_name("cookie");
  header->set_regex("(unclosed");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  ASSERT_TRUE(Until([&] { return client_->status().nacks == 1; }));
  EXPECT_THAT(client_->status().last_error, HasSubstr("Destination 10.1.0.1:80"));
  EXPECT_EQ(one_.destinations["10.1.0.1:80"].second, good);
  ASSERT_TRUE(Until([&] {
    const auto requests = plane_.requests();
    return std::ranges::any_of(requests, [](const TestControlPlane::Request& request) {
      return request.error_detail().message().find("10.1.0.1:80") != std::string::npos;
    });
  }));

  destination = ToService("tea");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  ASSERT_TRUE(Until([&] { return one_.destinations["10.1.0.1:80"].second != good; }));
  EXPECT_EQ(client_->status().refused, 0u);
  EXPECT_EQ(client_->status().last_error, "");
}

TEST_F(ClientTest, KeepsItsConfigurationWhileTheControlPlaneIsAwayAndCatchesUpByVersions) {
  const auto destination = ToService("tea");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  Start();
  client_->Subscribe(&one_, OnDemand::kDestination, "10.1.0.1:80");
  ASSERT_TRUE(Until([&] { return one_.destinations.contains("10.1.0.1:80"); }));
  const auto before = one_.destinations["10.1.0.1:80"].second;

  plane_.Down();
  ASSERT_TRUE(Until([&] { return !client_->status().connected; }));
  client_->Subscribe(&two_, OnDemand::kDestination, "10.1.0.1:80");
  client_->Subscribe(&two_, OnDemand::kDestination, "10.1.0.2:80");
  ASSERT_TRUE(Until([&] { return two_.destinations.contains("10.1.0.1:80"); }));
  EXPECT_EQ(two_.destinations["10.1.0.1:80"].second, before);

  const size_t heard = plane_.requests().size();
  plane_.Up();
  ASSERT_TRUE(Until([&] { return two_.destinations.contains("10.1.0.2:80"); }));
  EXPECT_EQ(one_.destinations["10.1.0.1:80"].second, before);
  const auto requests = plane_.requests();
  bool had_version = false;
  for (size_t i = heard; i < requests.size(); ++i) {
    had_version |= requests[i].initial_resource_versions().contains("10.1.0.1:80");
  }
  EXPECT_TRUE(had_version);
}

TEST_F(ClientTest, RenewsByItsCertificateAndMovesTheStreamWithoutLosingConfiguration) {
  plane_.SetLeafLifetime(absl::Seconds(2));
  const auto destination = ToService("tea");
  plane_.Set("Destination", "10.1.0.1:80", &destination);
  Start();
  client_->Subscribe(&one_, OnDemand::kDestination, "10.1.0.1:80");
  ASSERT_TRUE(Until([&] { return plane_.signed_by_certificate() >= 2; }));
  ASSERT_TRUE(Until([&] { return client_->status().streams >= 3; }));
  EXPECT_EQ(plane_.signed_by_token(), 1);
  EXPECT_EQ(client_->status().failed_dials, 0u);
  const auto changed = ToService("coffee");
  plane_.Set("Destination", "10.1.0.1:80", &changed);
  ASSERT_TRUE(Until([&] {
    const auto& held = one_.destinations["10.1.0.1:80"].second;
    return held != nullptr && held->service() == "shop/coffee";
  }));
}

TEST_F(ClientTest, ComesBackByTokenWhenItsCertificateExpiredMeanwhile) {
  plane_.SetLeafLifetime(absl::Seconds(1));
  Start();
  ASSERT_TRUE(Until([&] { return client_->status().configured(); }));
  plane_.Down();
  ASSERT_TRUE(Until([&] { return !identity_->status().has_certificate; }));
  const int by_token = plane_.signed_by_token();
  plane_.Up();
  ASSERT_TRUE(Until([&] { return plane_.signed_by_token() > by_token; }));
  ASSERT_TRUE(Until([&] { return client_->status().connected; }));
}

TEST_F(ClientTest, SaysWhyItHasNoCertificateAndNeverTellsTheToken) {
  WriteFile("token", "wrong-token");
  Start();
  ASSERT_TRUE(Until([&] { return identity_->status().failures >= 2; }));
  EXPECT_THAT(identity_->status().last_error, HasSubstr("unknown token"));
  EXPECT_THAT(identity_->status().last_error, Not(HasSubstr("wrong-token")));
  WriteFile("token", TestControlPlane::kToken);
  ASSERT_TRUE(Until([&] { return client_->status().configured(); }));
}

TEST_F(ClientTest, RefusesAControlPlaneOfAnotherMesh) {
  TestControlPlane other;
  WriteFile("bundle.pem", other.root_pem());
  Start();
  ASSERT_TRUE(Until([&] { return identity_->status().failures >= 1; }));
  EXPECT_THAT(identity_->status().last_error, HasSubstr("certificate"));
  EXPECT_EQ(plane_.signed_by_token(), 0);
}

}  // namespace
}  // namespace weft::discovery
