#include "sidecar/upstream/balance/endpoint_config.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/upstream/balance/testing.h"

namespace weft::upstream {
namespace {

using ::testing::HasSubstr;

TEST(ParseEndpointsTest, KeepsWhatTheResourceSays) {
  weft::v1::Endpoints message;
  weft::v1::Endpoint* endpoint = AddEndpoint(message, 7, weft::v1::HEALTH_DRAINING);
  endpoint->set_workload("tea-v1");
  endpoint->set_zone("a");
  const auto configs = ParseEndpoints("shop/tea:80", message);
  ASSERT_TRUE(configs.ok()) << configs.status();
  ASSERT_EQ((*configs)->size(), 1u);
  const EndpointConfig& config = (*configs)->front();
  EXPECT_EQ(config.address.ToString(), "10.0.0.7:8080");
  EXPECT_TRUE(config.meshed);
  EXPECT_EQ(config.spiffe_id, "spiffe://cluster.local/ns/shop/sa/tea");
  EXPECT_EQ(config.name_space, "shop");
  EXPECT_EQ(config.pod, "pod-7");
  EXPECT_EQ(config.workload, "tea-v1");
  EXPECT_EQ(config.zone, "a");
  EXPECT_EQ(config.health, weft::v1::HEALTH_DRAINING);
}

TEST(ParseEndpointsTest, TakesIpv6) {
  weft::v1::Endpoints message;
  AddEndpoint(message, 1)->set_address("fd00::1");
  const auto configs = ParseEndpoints("shop/tea:80", message);
  ASSERT_TRUE(configs.ok()) << configs.status();
  EXPECT_EQ((*configs)->front().address.ToString(), "[fd00::1]:8080");
}

TEST(ParseEndpointsTest, AnEndpointThatComesTwiceIsKeptOnce) {
  weft::v1::Endpoints message;
  AddEndpoint(message, 1);
  AddEndpoint(message, 2);
  AddEndpoint(message, 1, weft::v1::HEALTH_DRAINING);
  const auto configs = ParseEndpoints("shop/tea:80", message);
  ASSERT_TRUE(configs.ok()) << configs.status();
  ASSERT_EQ((*configs)->size(), 2u);
  EXPECT_EQ((*configs)->front().health, weft::v1::HEALTH_READY);
}

TEST(ParseEndpointsTest, NonsenseIsRefusedWithItsPlace) {
  struct Case {
    std::function<void(weft::v1::Endpoint*)> spoil;
    std::string message;
  };
  const std::vector<Case> cases = {
      {[](auto* e) { e->set_address("tea"); }, "address: \"tea\" is not an IP address"},
      {[](auto* e) { e->set_address(""); }, "address: \"\" is not"},
      {[](auto* e) { e->set_address("10.0.0.256"); }, "address: \"10.0.0.256\" is not"},
      {[](auto* e) { e->set_address("0.0.0.0"); }, "address: \"0.0.0.0\" is no address of one"},
      {[](auto* e) { e->set_address("::"); }, "address: \"::\" is no address of one host"},
      {[](auto* e) { e->set_address("224.0.0.1"); }, "\"224.0.0.1\" is no address of one host"},
      {[](auto* e) { e->set_address("255.255.255.255"); }, "is no address of one host"},
      {[](auto* e) { e->set_address("ff02::1"); }, "\"ff02::1\" is no address of one host"},
      {[](auto* e) { e->set_port(0); }, "port: 0 is not between 1 and 65535"},
      {[](auto* e) { e->set_port(65536); }, "port: 65536 is not between"},
      {[](auto* e) { e->set_spiffe_id(""); }, "spiffe_id: SPIFFE ID \"\""},
      {[](auto* e) { e->set_spiffe_id("https://x"); }, "spiffe_id: SPIFFE ID"},
      {[](auto* e) { e->set_health(static_cast<weft::v1::Health>(9)); }, "health: 9 is unknown"},
  };
  for (const Case& c : cases) {
    weft::v1::Endpoints message = ReadyEndpoints(3);
    c.spoil(message.mutable_endpoints(1));
    const absl::Status status = ParseEndpoints("shop/tea:80", message).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr("Endpoints shop/tea:80: endpoints[1]."));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(ParseEndpointsTest, AnEndpointOutsideTheMeshNeedsNoIdentity) {
  weft::v1::Endpoints message;
  weft::v1::Endpoint* endpoint = AddEndpoint(message, 1);
  endpoint->set_meshed(false);
  endpoint->clear_spiffe_id();
  EXPECT_TRUE(ParseEndpoints("shop/tea:80", message).ok());
}

TEST(ParseEndpointsTest, ThereIsABound) {
  weft::v1::Endpoints message;
  for (int i = 0; i < 65'537; ++i) message.add_endpoints();
  EXPECT_THAT(std::string(ParseEndpoints("shop/tea:80", message).status().message()),
              HasSubstr("endpoints: 65537 of them, at most 65536"));
}

}  // namespace
}  // namespace weft::upstream
