#include "control-plane/discovery/discovery_service.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control-plane/discovery/stream.h"
#include "control-plane/discovery/test_control_plane.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::discovery {
namespace {

using compile::ResourceKey;
using compile::ResourceType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const SpiffeId kTea{"cluster.local", "shop", "tea"};
const SpiffeId kCoffee{"cluster.local", "shop", "coffee"};
const ResourceKey kDestination{ResourceType::kDestination, "10.0.0.1:80"};
const ResourceKey kOther{ResourceType::kDestination, "10.0.0.2:80"};
const ResourceKey kEndpoints{ResourceType::kEndpoints, "shop/tea:80"};

std::vector<std::string> NamesOf(const TestSidecar::Response& response) {
  std::vector<std::string> names;
  for (const auto& resource : response.resources()) names.push_back(resource.name());
  return names;
}

std::vector<std::string> RemovedOf(const TestSidecar::Response& response) {
  return {response.removed_resources().begin(), response.removed_resources().end()};
}

class DiscoveryServiceTest : public ::testing::Test {
 protected:
  DiscoveryServiceTest() { plane_.catalogue.AddPod("shop/tea-1", kTea); }

  TestControlPlane plane_;
};

TEST_F(DiscoveryServiceTest, ASubscriptionIsAnsweredAndChangesFollow) {
  plane_.catalogue.Set(kDestination, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
  TestSidecar::Response response = sidecar.Read();
  EXPECT_EQ(response.type_url(), "type.googleapis.com/weft.v1.Destination");
  EXPECT_FALSE(response.nonce().empty());
  ASSERT_THAT(NamesOf(response), ElementsAre(kDestination.name));
  EXPECT_EQ(response.resources(0).version(), "vone");
  EXPECT_EQ(response.resources(0).resource().type_url(), response.type_url());
  EXPECT_EQ(response.resources(0).resource().value(), "one");
  sidecar.Ack(response);

  plane_.Change(kDestination, "two");
  const TestSidecar::Response update = sidecar.Read();
  EXPECT_NE(update.nonce(), response.nonce());
  ASSERT_THAT(NamesOf(update), ElementsAre(kDestination.name));
  EXPECT_EQ(update.resources(0).resource().value(), "two");
  sidecar.Ack(update);

  plane_.Remove(kDestination);
  const TestSidecar::Response removal = sidecar.Read();
  EXPECT_THAT(NamesOf(removal), IsEmpty());
  EXPECT_THAT(RemovedOf(removal), ElementsAre(kDestination.name));
  EXPECT_TRUE(sidecar.End().ok());
}

TEST_F(DiscoveryServiceTest, WhatDoesNotExistIsRemovedAtOnceAndAppearsLater) {
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
  const TestSidecar::Response absence = sidecar.Read();
  EXPECT_THAT(RemovedOf(absence), ElementsAre(kDestination.name));
  sidecar.Ack(absence);
  plane_.Change(kDestination, "one");
  EXPECT_THAT(NamesOf(sidecar.Read()), ElementsAre(kDestination.name));
}

TEST_F(DiscoveryServiceTest, OneResponseOfATypeIsOutstandingAndTheNextCarriesTheLatest) {
  plane_.catalogue.Set(kDestination, "one");
  plane_.catalogue.Set(kOther, "one");
  plane_.catalogue.Set(kEndpoints, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name, kOther.name});
  const TestSidecar::Response first = sidecar.Read();
  EXPECT_THAT(NamesOf(first), UnorderedElementsAre(kDestination.name, kOther.name));
  // Unacknowledged: these wait, and the type beside is not held up.
  plane_.Change(kDestination, "two");
  plane_.Change(kDestination, "three");
  sidecar.Subscribe(ResourceType::kEndpoints, {kEndpoints.name});
  const TestSidecar::Response endpoints = sidecar.Read();
  EXPECT_EQ(endpoints.type_url(), compile::TypeUrl(ResourceType::kEndpoints));
  plane_.Change(kDestination, "four");
  sidecar.Ack(first);
  TestSidecar::Response latest = sidecar.Read();
  // The hub may not have delivered the last change before the ACK; it then follows.
  while (latest.resources(0).resource().value() != "four") {
    sidecar.Ack(latest);
    latest = sidecar.Read();
  }
  EXPECT_THAT(NamesOf(latest), ElementsAre(kDestination.name));
}

TEST_F(DiscoveryServiceTest, AReconnectWithVersionsBringsOnlyWhatDiffers) {
  plane_.catalogue.Set(kDestination, "one");
  plane_.catalogue.Set(kOther, "new");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name, kOther.name, "10.9.9.9:1"},
                    {{kDestination.name, "vone"}, {kOther.name, "vold"}, {"10.9.9.9:1", "vgone"}});
  const TestSidecar::Response response = sidecar.Read();
  EXPECT_THAT(NamesOf(response), ElementsAre(kOther.name));
  EXPECT_THAT(RemovedOf(response), ElementsAre("10.9.9.9:1"));
  sidecar.Ack(response);
  // What was not sent again is subscribed to all the same.
  plane_.Change(kDestination, "two");
  EXPECT_THAT(NamesOf(sidecar.Read()), ElementsAre(kDestination.name));
}

TEST_F(DiscoveryServiceTest, AnExplicitResubscriptionIsAnsweredEvenIfNothingChanged) {
  plane_.catalogue.Set(kDestination, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  for (int i = 0; i < 2; ++i) {
    sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
    const TestSidecar::Response response = sidecar.Read();
    EXPECT_THAT(NamesOf(response), ElementsAre(kDestination.name));
    sidecar.Ack(response);
  }
}

TEST_F(DiscoveryServiceTest, ANackIsKeptAndShownUntilTheNextAck) {
  plane_.catalogue.Set(kDestination, "bad");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
  sidecar.Nack(sidecar.Read(), "rules[0]: regex is bad");
  // The refused version is not repeated; the next one is sent.
  plane_.Change(kDestination, "bad");
  plane_.Change(kDestination, "good");
  const TestSidecar::Response better = sidecar.Read();
  EXPECT_EQ(better.resources(0).resource().value(), "good");
  std::optional<v1::Proxy> proxy = plane_.hub.StreamsOf("shop/tea-1").at(0)->Describe();
  ASSERT_TRUE(proxy.has_value());
  EXPECT_FALSE(proxy->in_sync());
  ASSERT_EQ(proxy->types_size(), 1);
  EXPECT_EQ(proxy->types(0).nack(), "rules[0]: regex is bad");
  EXPECT_EQ(proxy->version(), "1.2.3");
  EXPECT_EQ(proxy->spiffe_id(), kTea.ToString());
  sidecar.Ack(better);
  // Another type's answer proves that the ACK has been read.
  sidecar.Subscribe(ResourceType::kEndpoints, {kEndpoints.name});
  sidecar.Ack(sidecar.Read());
  sidecar.Subscribe(ResourceType::kMeshSettings, {"default"});
  sidecar.Ack(sidecar.Read());
  sidecar.Subscribe(ResourceType::kTrustBundle, {"cluster.local"});
  (void)sidecar.Read();
  proxy = plane_.hub.StreamsOf("shop/tea-1").at(0)->Describe();
  EXPECT_EQ(proxy->types(0).nack(), "");
  EXPECT_EQ(proxy->types(0).last_nonce_acked(), better.nonce());
  EXPECT_EQ(proxy->types(0).subscribed(), 1U);
  EXPECT_EQ(proxy->types(0).sent(), 1U);
  EXPECT_THAT(plane_.metrics.Text(),
              HasSubstr("weft_control_plane_nacks_total{type=\"Destination\"} 1"));
}

TEST_F(DiscoveryServiceTest, AStaleNonceAcknowledgesNothing) {
  plane_.catalogue.Set(kDestination, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
  TestSidecar::Response response = sidecar.Read();
  TestSidecar::Response stale = response;
  stale.set_nonce("12345");
  sidecar.Nack(stale, "not about anything outstanding");
  sidecar.Subscribe(ResourceType::kEndpoints, {kEndpoints.name});
  (void)sidecar.Read();
  const std::optional<v1::Proxy> proxy = plane_.hub.StreamsOf("shop/tea-1").at(0)->Describe();
  EXPECT_EQ(proxy->types(0).nack(), "");
  EXPECT_FALSE(proxy->in_sync());
}

TEST_F(DiscoveryServiceTest, WhatNobodyWantsIsReleased) {
  plane_.catalogue.Set(kDestination, "one");
  plane_.catalogue.Set(kOther, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  TestSidecar second(plane_.Connect(kTea), "shop/tea-1");
  for (TestSidecar* each : {&sidecar, &second}) {
    each->Subscribe(ResourceType::kDestination, {kDestination.name, kOther.name});
    each->Ack(each->Read());
  }
  sidecar.Unsubscribe(ResourceType::kDestination, {kDestination.name});
  second.Unsubscribe(ResourceType::kDestination, {kDestination.name});
  EXPECT_TRUE(plane_.catalogue.AwaitReleased(kDestination));
  EXPECT_TRUE(sidecar.End().ok());
  EXPECT_TRUE(second.End().ok());
  EXPECT_TRUE(plane_.catalogue.AwaitReleased(kOther));
}

TEST_F(DiscoveryServiceTest, ASidecarMayAskForItsOwnWorkloadOnly) {
  const ResourceKey own{ResourceType::kWorkload, "shop/tea-1"};
  plane_.catalogue.AddPod("shop/tea-2", kTea);
  plane_.catalogue.Set(own, "mine");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kWorkload, {own.name});
  EXPECT_THAT(NamesOf(sidecar.Read()), ElementsAre(own.name));
  sidecar.Subscribe(ResourceType::kWorkload, {"shop/tea-2"});
  const grpc::Status status = sidecar.Ended();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("not the caller's own"));
}

TEST_F(DiscoveryServiceTest, APodThatComesBackWithAnotherAccountEndsItsOldStream) {
  const ResourceKey own{ResourceType::kWorkload, "shop/tea-1"};
  plane_.catalogue.Set(own, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kWorkload, {own.name});
  sidecar.Ack(sidecar.Read());
  plane_.catalogue.AddPod("shop/tea-1", kCoffee);
  plane_.Change(own, "two");
  const grpc::Status status = sidecar.Ended();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("is now " + kCoffee.ToString()));
}

TEST_F(DiscoveryServiceTest, ACallerIsHeldToItsIdentity) {
  plane_.catalogue.AddPod("shop/coffee-1", kCoffee);
  struct Case {
    std::optional<SpiffeId> identity;
    const char* workload;
    grpc::StatusCode code;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {std::nullopt, "shop/tea-1", grpc::StatusCode::UNAUTHENTICATED, "mesh certificate"},
           {kTea, "shop/coffee-1", grpc::StatusCode::PERMISSION_DENIED, "the caller is"},
           {kTea, "shop/unknown", grpc::StatusCode::PERMISSION_DENIED, "not known"},
           {kTea, "", grpc::StatusCode::INVALID_ARGUMENT, "node.id"},
           {kTea, "tea-1", grpc::StatusCode::INVALID_ARGUMENT, "node.id"},
           {SpiffeId{"other.mesh", "shop", "tea"}, "shop/tea-1", grpc::StatusCode::UNAUTHENTICATED,
            "trust domain other.mesh"},
       }) {
    TestSidecar sidecar(plane_.Connect(c.identity), c.workload);
    sidecar.Subscribe(ResourceType::kMeshSettings, {"default"});
    const grpc::Status status = sidecar.Ended();
    EXPECT_EQ(status.error_code(), c.code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(c.message));
  }
}

TEST_F(DiscoveryServiceTest, ACertificateOfAnotherRootDoesNotConnect) {
  TestControlPlane other;
  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::Certificate foreign = *other.authority.Issue(key.Public(), kTea, {}, absl::Now());
  TestSidecar sidecar(
      plane_.ConnectWith(plane_.authority.RootsPem().front(), *key.ToPem(), *foreign.ToPem()),
      "shop/tea-1");
  sidecar.Subscribe(ResourceType::kMeshSettings, {"default"});
  EXPECT_EQ(sidecar.Ended().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DiscoveryServiceTest, AnExpiredCertificateDoesNotConnect) {
  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::Certificate old = *plane_.authority.Issue(
      key.Public(), kTea, {}, absl::Now() - absl::Seconds(30), absl::Seconds(5));
  TestSidecar sidecar(
      plane_.ConnectWith(plane_.authority.RootsPem().front(), *key.ToPem(), *old.ToPem()),
      "shop/tea-1");
  sidecar.Subscribe(ResourceType::kMeshSettings, {"default"});
  EXPECT_EQ(sidecar.Ended().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DiscoveryServiceTest, RequestsThatMakeNoSenseEndTheStreamWithTheReason) {
  struct Case {
    const char* type_url;
    std::string name;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "x", "type_url"},
           {"", "x", "type_url"},
           {"type.googleapis.com/weft.v1.Destination", "*", "no wildcard"},
           {"type.googleapis.com/weft.v1.Destination", "", "1 to 512 bytes"},
           {"type.googleapis.com/weft.v1.Destination", std::string(513, 'x'), "1 to 512 bytes"},
       }) {
    TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
    TestSidecar::Request request;
    request.set_type_url(c.type_url);
    request.add_resource_names_subscribe(c.name);
    sidecar.Send(request);
    const grpc::Status status = sidecar.Ended();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(c.message));
  }
}

TEST_F(DiscoveryServiceTest, StateOfTheWorldIsNotServed) {
  auto stub = AdsService::NewStub(plane_.Connect(kTea));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const grpc::Status status = stub->StreamAggregatedResources(&context)->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("DeltaAggregatedResources"));
}

TEST_F(DiscoveryServiceTest, ARenewedServingCertificateLeavesOpenStreamsAlone) {
  plane_.catalogue.Set(kDestination, "one");
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kDestination, {kDestination.name});
  sidecar.Ack(sidecar.Read());
  ASSERT_TRUE(plane_.serving->Renew(absl::Now()).ok());
  plane_.Change(kDestination, "two");
  EXPECT_EQ(sidecar.Read().resources(0).resource().value(), "two");
}

TEST_F(DiscoveryServiceTest, AShutdownTellsTheSidecarsToComeBack) {
  TestSidecar sidecar(plane_.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kMeshSettings, {"default"});
  (void)sidecar.Read();
  plane_.hub.Drain();
  EXPECT_EQ(sidecar.Ended().error_code(), grpc::StatusCode::UNAVAILABLE);
  TestSidecar late(plane_.Connect(kTea), "shop/tea-1");
  EXPECT_EQ(late.Ended().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(DiscoveryLimitsTest, SubscriptionsAndStreamsAreBounded) {
  TestControlPlane plane(
      {.subscriptions_per_stream = 3, .streams_per_identity = 4, .streams_per_workload = 2});
  plane.catalogue.AddPod("shop/tea-1", kTea);
  plane.catalogue.AddPod("shop/tea-2", kTea);
  const auto channel = plane.Connect(kTea);
  // Another workload than below: its place is free only a moment after its end is seen.
  TestSidecar greedy(channel, "shop/tea-2");
  greedy.Subscribe(ResourceType::kDestination, {"a", "b"});
  greedy.Ack(greedy.Read());
  greedy.Subscribe(ResourceType::kEndpoints, {"a", "b"});
  const grpc::Status too_many = greedy.Ended();
  EXPECT_EQ(too_many.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(too_many.error_message(), HasSubstr("3 subscriptions"));
  EXPECT_TRUE(plane.catalogue.AwaitReleased({ResourceType::kDestination, "a"}));

  TestSidecar first(channel, "shop/tea-1");
  TestSidecar second(channel, "shop/tea-1");
  for (TestSidecar* each : {&first, &second}) {
    each->Subscribe(ResourceType::kMeshSettings, {"default"});
    (void)each->Read();
  }
  TestSidecar third(channel, "shop/tea-1");
  third.Subscribe(ResourceType::kMeshSettings, {"default"});
  const grpc::Status workload_full = third.Ended();
  EXPECT_EQ(workload_full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(workload_full.error_message(), HasSubstr("workload shop/tea-1"));
}

TEST(DiscoveryLimitsTest, AnIdentityHasSoManyStreamsAndNoMore) {
  TestControlPlane plane({.streams_per_identity = 1});
  plane.catalogue.AddPod("shop/tea-1", kTea);
  plane.catalogue.AddPod("shop/tea-2", kTea);
  TestSidecar first(plane.Connect(kTea), "shop/tea-1");
  first.Subscribe(ResourceType::kMeshSettings, {"default"});
  (void)first.Read();
  TestSidecar second(plane.Connect(kTea), "shop/tea-2");
  EXPECT_EQ(second.Ended().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(DiscoveryLimitsTest, AManyResourcesGoOutInSeveralResponses) {
  TestControlPlane plane({.response_bytes = 10'000});
  plane.catalogue.AddPod("shop/tea-1", kTea);
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back(absl::StrCat("shop/tea:", i));
    plane.catalogue.Set({ResourceType::kEndpoints, names.back()}, std::string(1000, 'a' + i % 20));
  }
  TestSidecar sidecar(plane.Connect(kTea), "shop/tea-1");
  sidecar.Subscribe(ResourceType::kEndpoints, names);
  size_t received = 0;
  int responses = 0;
  while (received < names.size()) {
    const TestSidecar::Response response = sidecar.Read();
    ASSERT_GT(response.resources_size(), 0);
    EXPECT_LE(response.ByteSizeLong(), 13'000U);
    for (const auto& resource : response.resources()) {
      EXPECT_EQ(resource.resource().value().size(), 1000U);
    }
    received += response.resources_size();
    ++responses;
    sidecar.Ack(response);
  }
  EXPECT_GE(responses, 10);
}

TEST(DiscoveryLimitsTest, HundredsOfStreamsShareOneChange) {
  constexpr int kStreams = 200;
  TestControlPlane plane;
  const std::string big(100'000, 'x');
  plane.catalogue.Set(kEndpoints, "small");
  std::vector<std::unique_ptr<TestSidecar>> sidecars;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 4; ++i) channels.push_back(plane.Connect(kTea));
  for (int i = 0; i < kStreams; ++i) {
    const std::string pod = absl::StrCat("shop/tea-", i);
    plane.catalogue.AddPod(pod, kTea);
    sidecars.push_back(std::make_unique<TestSidecar>(channels[i % channels.size()], pod));
    sidecars.back()->Subscribe(ResourceType::kEndpoints, {kEndpoints.name});
  }
  for (const auto& sidecar : sidecars) sidecar->Ack(sidecar->Read());
  plane.Change(kEndpoints, big);
  for (const auto& sidecar : sidecars) {
    EXPECT_EQ(sidecar->Read().resources(0).resource().value(), big);
  }
}

}  // namespace
}  // namespace weft::discovery
