#include "sidecar/discovery/delta_session.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/discovery/config_dump.h"

namespace weft::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class Silent final : public Subscriber {
  void OnDestination(const std::string&, Answer,
                     std::shared_ptr<const route::Destination>) override {}
  void OnEndpoints(const std::string&, Answer,
                   std::shared_ptr<const weft::v1::Endpoints>) override {}
  void OnWorkload(std::shared_ptr<const weft::v1::Workload>) override {}
  void OnSettings(std::shared_ptr<const weft::v1::MeshSettings>) override {}
};

DeltaSession::Response ResponseOf(ResourceType type, const std::string& nonce) {
  DeltaSession::Response response;
  response.set_type_url(std::string(TypeUrl(type)));
  response.set_nonce(nonce);
  return response;
}

void Add(DeltaSession::Response& response, const std::string& name, const std::string& version,
         const google::protobuf::Message& message) {
  auto* resource = response.add_resources();
  resource->set_name(name);
  resource->set_version(version);
  resource->mutable_resource()->set_type_url(response.type_url());
  resource->mutable_resource()->set_value(message.SerializeAsString());
}

weft::v1::Destination To(const std::vector<std::string>& endpoints) {
  weft::v1::Destination destination;
  destination.set_service("shop/tea");
  auto* rule = destination.add_rules();
  for (const std::string& name : endpoints) {
    auto* backend = rule->add_backends();
    backend->set_service(name.substr(0, name.find(':')));
    backend->set_endpoints(name);
    backend->set_weight(1);
  }
  return destination;
}

class DeltaSessionTest : public ::testing::Test {
 protected:
  DeltaSessionTest() {
    subscriptions_.AddWorker(&reactor_, &worker_);
    Open();
  }

  void Open() {
    session_ = std::make_unique<DeltaSession>("shop/web-1", &subscriptions_, [] {});
  }

  // All that is due now.
  std::vector<DeltaSession::Request> Due() {
    std::vector<DeltaSession::Request> all;
    DeltaSession::Request request;
    while (session_->NextRequest(request)) all.push_back(request);
    return all;
  }

  void Want(const std::string& name, OnDemand type = OnDemand::kDestination) {
    subscriptions_.Want(&worker_, type, name);
  }
  void Unwant(const std::string& name) {
    subscriptions_.Unwant(&worker_, OnDemand::kDestination, name);
  }

  io::Reactor reactor_;
  Silent worker_;
  Subscriptions subscriptions_{"shop/web-1", "test.mesh", [](const auto& bundle) {
                                 return bundle.roots_pem_size() > 0
                                            ? absl::OkStatus()
                                            : absl::InvalidArgumentError("no roots");
                               }};
  std::unique_ptr<DeltaSession> session_;
};

TEST_F(DeltaSessionTest, AsksFirstForTheSidecarsOwnAndForNoTypeWithoutNames) {
  const auto due = Due();
  ASSERT_EQ(due.size(), 3u);
  EXPECT_EQ(due[0].type_url(), TypeUrl(ResourceType::kTrustBundle));
  EXPECT_THAT(due[0].resource_names_subscribe(), ElementsAre("test.mesh"));
  EXPECT_EQ(due[0].node().id(), "shop/web-1");
  EXPECT_THAT(due[1].resource_names_subscribe(), ElementsAre("default"));
  EXPECT_FALSE(due[1].has_node());
  EXPECT_THAT(due[2].resource_names_subscribe(), ElementsAre("shop/web-1"));
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(DeltaSessionTest, GathersChangesOfOneTypeInOneRequest) {
  Due();
  Want("10.0.0.1:80");
  Due();
  Want("10.0.0.2:80");
  Want("10.0.0.3:80");
  Unwant("10.0.0.1:80");
  const auto due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_THAT(due[0].resource_names_subscribe(),
              UnorderedElementsAre("10.0.0.2:80", "10.0.0.3:80"));
  EXPECT_THAT(due[0].resource_names_unsubscribe(), ElementsAre("10.0.0.1:80"));
}

TEST_F(DeltaSessionTest, AsksAgainForANameThatWasDroppedAndWantedWithinOneTurn) {
  Due();
  Want("10.0.0.1:80");
  Due();
  Unwant("10.0.0.1:80");
  Want("10.0.0.1:80");
  const auto due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_THAT(due[0].resource_names_subscribe(), ElementsAre("10.0.0.1:80"));
  EXPECT_THAT(due[0].resource_names_unsubscribe(), IsEmpty());
}

TEST_F(DeltaSessionTest, SaysNothingOfANameThatCameAndWentBeforeItsTypeWasOpened) {
  Due();
  Want("10.0.0.1:80");
  Unwant("10.0.0.1:80");
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(DeltaSessionTest, AcknowledgesAndAsksForTheEndpointsOfADestination) {
  Due();
  Want("10.0.0.1:80");
  Due();
  auto response = ResponseOf(ResourceType::kDestination, "n1");
  Add(response, "10.0.0.1:80", "v1", To({"shop/tea-1:80", "shop/tea-2:80"}));
  EXPECT_TRUE(session_->Handle(response).accepted);
  const auto due = Due();
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0].response_nonce(), "n1");
  EXPECT_FALSE(due[0].has_error_detail());
  EXPECT_EQ(due[1].type_url(), TypeUrl(ResourceType::kEndpoints));
  EXPECT_THAT(due[1].resource_names_subscribe(),
              UnorderedElementsAre("shop/tea-1:80", "shop/tea-2:80"));

  auto next = ResponseOf(ResourceType::kDestination, "n2");
  Add(next, "10.0.0.1:80", "v2", To({"shop/tea-2:80", "shop/tea-3:80"}));
  session_->Handle(next);
  const auto changes = Due();
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_THAT(changes[1].resource_names_subscribe(), ElementsAre("shop/tea-3:80"));
  EXPECT_THAT(changes[1].resource_names_unsubscribe(), ElementsAre("shop/tea-1:80"));
}

TEST_F(DeltaSessionTest, RefusesByNameAndTakesTheGoodOnesOfTheSameResponse) {
  Due();
  Want("10.0.0.1:80");
  Want("10.0.0.2:80");
  Due();
  auto response = ResponseOf(ResourceType::kDestination, "n1");
  Add(response, "10.0.0.1:80", "v1", weft::v1::Destination());
  Add(response, "10.0.0.2:80", "v1", To({"shop/tea:80"}));
  const auto handled = session_->Handle(response);
  EXPECT_FALSE(handled.accepted);
  EXPECT_THAT(handled.refusal, HasSubstr("10.0.0.1:80"));
  EXPECT_THAT(handled.refusal, Not(HasSubstr("10.0.0.2:80")));
  const auto due = Due();
  ASSERT_FALSE(due.empty());
  EXPECT_EQ(due[0].response_nonce(), "n1");
  EXPECT_EQ(due[0].error_detail().code(), 3);
  EXPECT_EQ(due[0].error_detail().message(), handled.refusal);
  const auto& table = std::as_const(subscriptions_).table(ResourceType::kDestination);
  EXPECT_EQ(table.at("10.0.0.1:80").answer, Answer::kAsked);
  EXPECT_EQ(table.at("10.0.0.2:80").answer, Answer::kPresent);
  EXPECT_THAT(DumpConfig(subscriptions_), HasSubstr("\"refused\": [\n  {"));
}

TEST_F(DeltaSessionTest, RefusesResourcesThatAreNotWhatTheyShouldBe) {
  weft::v1::Endpoints no_ip;
  no_ip.add_endpoints()->set_port(80);
  weft::v1::Endpoints no_port;
  no_port.add_endpoints()->set_address("10.0.0.1");
  weft::v1::Endpoints no_identity;
  auto* meshed = no_identity.add_endpoints();
  meshed->set_address("10.0.0.1");
  meshed->set_port(80);
  meshed->set_meshed(true);
  weft::v1::Workload bad_port;
  bad_port.add_inbound_ports()->set_port(70000);
  weft::v1::TrustBundle no_roots;
  const struct {
    ResourceType type;
    std::string name;
    const google::protobuf::Message* message;
    std::string refusal;
  } cases[] = {
      {ResourceType::kEndpoints, "shop/tea:80", &no_ip, "endpoints[0].address"},
      {ResourceType::kEndpoints, "shop/tea:80", &no_port, "endpoints[0].port"},
      {ResourceType::kEndpoints, "shop/tea:80", &no_identity, "endpoints[0].spiffe_id"},
      {ResourceType::kWorkload, "shop/web-1", &bad_port, "inbound_ports[0].port"},
      {ResourceType::kTrustBundle, "test.mesh", &no_roots, "no roots"},
  };
  Want("shop/tea:80", OnDemand::kEndpoints);
  for (const auto& c : cases) {
    auto response = ResponseOf(c.type, "n");
    Add(response, c.name, "v", *c.message);
    EXPECT_THAT(session_->Handle(response).refusal, HasSubstr(c.refusal));
    EXPECT_THAT(session_->Handle(response).refusal, HasSubstr(c.name));
  }
  auto response = ResponseOf(ResourceType::kEndpoints, "n");
  Add(response, "shop/tea:80", "v", weft::v1::Endpoints());
  response.mutable_resources(0)->mutable_resource()->set_type_url("other");
  EXPECT_THAT(session_->Handle(response).refusal, HasSubstr("type_url is \"other\""));
  response.mutable_resources(0)->mutable_resource()->set_type_url(response.type_url());
  response.mutable_resources(0)->mutable_resource()->set_value("\xff");
  EXPECT_THAT(session_->Handle(response).refusal, HasSubstr("not well-formed"));
  EXPECT_FALSE(session_->Handle(DeltaSession::Response()).accepted);
}

TEST_F(DeltaSessionTest, ANewStreamTellsTheVersionsThatAreHeld) {
  Due();
  Want("10.0.0.1:80");
  Want("10.0.0.2:80");
  Want("10.0.0.3:80");
  Due();
  auto response = ResponseOf(ResourceType::kDestination, "n1");
  Add(response, "10.0.0.1:80", "v7", To({"shop/tea:80"}));
  response.add_removed_resources("10.0.0.2:80");
  session_->Handle(response);
  Open();
  const auto due = Due();
  ASSERT_EQ(due.size(), 5u);
  EXPECT_TRUE(due[0].has_node());
  EXPECT_THAT(due[3].resource_names_subscribe(),
              UnorderedElementsAre("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"));
  EXPECT_THAT(due[3].initial_resource_versions(), ElementsAre(Key("10.0.0.1:80")));
  EXPECT_EQ(due[3].initial_resource_versions().at("10.0.0.1:80"), "v7");
}

TEST_F(DeltaSessionTest, KeepsTheSidecarsOwnWhenTheyAreRemoved) {
  Due();
  auto response = ResponseOf(ResourceType::kWorkload, "n1");
  Add(response, "shop/web-1", "v1", weft::v1::Workload());
  session_->Handle(response);
  auto removal = ResponseOf(ResourceType::kWorkload, "n2");
  removal.add_removed_resources("shop/web-1");
  EXPECT_TRUE(session_->Handle(removal).accepted);
  EXPECT_NE(subscriptions_.workload(), nullptr);
}

TEST_F(DeltaSessionTest, IgnoresWhatNobodyWants) {
  Due();
  auto response = ResponseOf(ResourceType::kDestination, "n1");
  Add(response, "10.9.9.9:80", "v1", To({"shop/tea:80"}));
  EXPECT_TRUE(session_->Handle(response).accepted);
  EXPECT_TRUE(std::as_const(subscriptions_).table(ResourceType::kDestination).empty());
}

}  // namespace
}  // namespace weft::discovery
