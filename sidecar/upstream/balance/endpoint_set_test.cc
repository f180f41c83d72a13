#include "sidecar/upstream/balance/endpoint_set.h"

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/upstream/balance/testing.h"

namespace weft::upstream {
namespace {

using io::kMillisecond;
using io::kSecond;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<weft::v1::LbMethod> kAllMethods = {
    weft::v1::LB_METHOD_UNSPECIFIED,
    weft::v1::LB_METHOD_LEAST_TIME,
    weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE,
    weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT,
    weft::v1::LB_METHOD_ROUND_ROBIN,
    weft::v1::LB_METHOD_LEAST_CONN,
    weft::v1::LB_METHOD_RANDOM,
    weft::v1::LB_METHOD_RANDOM_TWO,
    weft::v1::LB_METHOD_RANDOM_TWO_LEAST_CONN,
    weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME,
    weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE,
};

class EndpointSetTest : public ::testing::Test {
 protected:
  EndpointSetTest() { fake_now = 1000 * kSecond; }

  void Update(const weft::v1::Endpoints& endpoints) {
    const absl::Status status = set_.Update(endpoints);
    ASSERT_TRUE(status.ok()) << status;
  }

  Load Pick(weft::v1::LbMethod method, const Exclusions& excluded = {}) {
    return set_.Pick(method, fake_now, random_, excluded);
  }

  Endpoint* Find(int host) {
    for (const EndpointRef& endpoint : set_.endpoints()) {
      if (endpoint->config().address.ip() == "10.0.0." + std::to_string(host)) {
        return endpoint.get();
      }
    }
    return nullptr;
  }

  void Fail(Endpoint* endpoint) {
    for (uint32_t i = 0; i < Ejection::kFailures; ++i) {
      Load(EndpointRef(endpoint), fake_now, &FakeNow).OnDone(fake_now, false);
    }
  }

  // Counted by CountingAttachment; before the set, which retires what is left.
  int retired_ = 0;
  int destroyed_ = 0;
  EndpointSet set_{"shop/tea:80", &FakeNow};
  route::Random random_{17};
};

std::string Pod(const Load& load) { return load ? load.endpoint().config().pod : "none"; }

TEST_F(EndpointSetTest, AnEmptySetHasNothingToPick) {
  EXPECT_FALSE(set_.HasLive());
  for (const auto method : kAllMethods) EXPECT_FALSE(Pick(method));
}

TEST_F(EndpointSetTest, EveryMethodUsesEveryReadyEndpoint) {
  Update(ReadyEndpoints(5));
  EXPECT_TRUE(set_.HasLive());
  for (const auto method : kAllMethods) {
    std::map<std::string, int> picks;
    for (int i = 0; i < 1000; ++i) {
      Load load = Pick(method);
      ++picks[Pod(load)];
      fake_now += kMillisecond;
      load.OnDone(fake_now, true);
    }
    EXPECT_EQ(picks.size(), 5u) << weft::v1::LbMethod_Name(method);
    for (const auto& [pod, count] : picks) {
      // Equal endpoints get equal shares; binomial, five standard deviations.
      EXPECT_NEAR(count, 200, 65) << weft::v1::LbMethod_Name(method) << " " << pod;
    }
  }
}

TEST_F(EndpointSetTest, ASingleEndpointIsAlwaysPicked) {
  Update(ReadyEndpoints(1));
  std::vector<Load> held;
  for (const auto method : kAllMethods) {
    held.push_back(Pick(method));
    EXPECT_EQ(Pod(held.back()), "pod-1");
  }
  EXPECT_EQ(Find(1)->in_flight(), kAllMethods.size());
}

TEST_F(EndpointSetTest, RoundRobinGoesInTurn) {
  Update(ReadyEndpoints(3));
  std::vector<std::string> picks;
  for (int i = 0; i < 6; ++i) picks.push_back(Pod(Pick(weft::v1::LB_METHOD_ROUND_ROBIN)));
  EXPECT_NE(picks[0], picks[1]);
  EXPECT_NE(picks[1], picks[2]);
  EXPECT_NE(picks[0], picks[2]);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(picks[i], picks[i + 3]);
}

TEST_F(EndpointSetTest, LeastConnPicksTheFewestInFlight) {
  Update(ReadyEndpoints(4));
  std::vector<Load> held;
  for (int i = 0; i < 40; ++i) held.push_back(Pick(weft::v1::LB_METHOD_LEAST_CONN));
  for (const EndpointRef& endpoint : set_.endpoints()) EXPECT_EQ(endpoint->in_flight(), 10u);
}

TEST_F(EndpointSetTest, RandomTwoNeverPicksTheMostLoaded) {
  Update(ReadyEndpoints(3));
  const Load extra(EndpointRef(Find(2)), fake_now, &FakeNow);
  for (const auto method :
       {weft::v1::LB_METHOD_RANDOM_TWO, weft::v1::LB_METHOD_RANDOM_TWO_LEAST_CONN}) {
    for (int i = 0; i < 200; ++i) EXPECT_NE(Pod(Pick(method)), "pod-2");
  }
}

TEST_F(EndpointSetTest, MethodsThatMeasureTimePreferTheFaster) {
  for (const auto method :
       {weft::v1::LB_METHOD_UNSPECIFIED, weft::v1::LB_METHOD_LEAST_TIME,
        weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE, weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT,
        weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME,
        weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE}) {
    Update({});
    Update(ReadyEndpoints(10));
    std::map<std::string, int> picks;
    for (int i = 0; i < 2000; ++i) {
      Load load = Pick(method);
      ++picks[Pod(load)];
      fake_now += (Pod(load) == "pod-3" ? 50 : 1) * kMillisecond;
      load.OnDone(fake_now, true);
    }
    // A fair share would be 200. It loses every comparison but the few in which it is new or
    // forgotten.
    EXPECT_GE(picks["pod-3"], 1) << weft::v1::LbMethod_Name(method);
    EXPECT_LE(picks["pod-3"], 20) << weft::v1::LbMethod_Name(method);
  }
}

TEST_F(EndpointSetTest, AnEndpointThatHangsGetsOneRequestAtATimeAtMost) {
  Update(ReadyEndpoints(3));
  std::vector<Load> hanging;
  for (int i = 0; i < 3000; ++i) {
    Load load = Pick(weft::v1::LB_METHOD_LEAST_TIME);
    fake_now += kMillisecond;
    if (Pod(load) == "pod-1") {
      hanging.push_back(std::move(load));
    } else {
      load.OnDone(fake_now, true);
    }
  }
  EXPECT_EQ(hanging.size(), 1u);
}

TEST_F(EndpointSetTest, DrainingEndpointsAreTheLastResort) {
  weft::v1::Endpoints endpoints;
  AddEndpoint(endpoints, 1, weft::v1::HEALTH_DRAINING);
  AddEndpoint(endpoints, 2);
  AddEndpoint(endpoints, 3, weft::v1::HEALTH_DRAINING);
  Update(endpoints);
  EXPECT_EQ(set_.ready(), 1u);
  for (const auto method : kAllMethods) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(Pod(Pick(method)), "pod-2");
  }
  endpoints.mutable_endpoints(1)->set_health(weft::v1::HEALTH_DRAINING);
  Update(endpoints);
  EXPECT_TRUE(set_.HasLive());
  for (const auto method : kAllMethods) EXPECT_TRUE(Pick(method));
}

TEST_F(EndpointSetTest, ExcludedEndpointsAreNotPicked) {
  weft::v1::Endpoints endpoints = ReadyEndpoints(3);
  AddEndpoint(endpoints, 4, weft::v1::HEALTH_DRAINING);
  Update(endpoints);
  for (const auto method : kAllMethods) {
    Exclusions excluded;
    for (int tried = 0; tried < 4; ++tried) {
      const Load load = Pick(method, excluded);
      ASSERT_TRUE(load) << weft::v1::LbMethod_Name(method);
      EXPECT_FALSE(excluded.Contains(&load.endpoint()));
      EXPECT_EQ(Pod(load) == "pod-4", tried == 3);
      EXPECT_TRUE(excluded.Add(load.endpoint_ref()));
    }
    EXPECT_FALSE(Pick(method, excluded));
    EXPECT_FALSE(excluded.Add(EndpointRef(Find(1))));
  }
}

TEST_F(EndpointSetTest, EjectedEndpointsAreLeftOut) {
  Update(ReadyEndpoints(3));
  Fail(Find(2));
  for (const auto method : kAllMethods) {
    for (int i = 0; i < 50; ++i) EXPECT_NE(Pod(Pick(method)), "pod-2");
  }
}

TEST_F(EndpointSetTest, IfAllAreEjectedAllAreUsed) {
  Update(ReadyEndpoints(3));
  for (int host = 1; host <= 3; ++host) Fail(Find(host));
  std::map<std::string, int> picks;
  for (int i = 0; i < 100; ++i) ++picks[Pod(Pick(weft::v1::LB_METHOD_RANDOM))];
  EXPECT_EQ(picks.size(), 3u);
  EXPECT_EQ(picks.count("none"), 0u);
}

TEST_F(EndpointSetTest, AnEjectedEndpointComesBackThroughOneTrial) {
  Update(ReadyEndpoints(2));
  Fail(Find(2));
  fake_now += kSecond;
  std::vector<Load> held;
  int on_trial = 0;
  for (int i = 0; i < 20; ++i) {
    held.push_back(Pick(weft::v1::LB_METHOD_ROUND_ROBIN));
    on_trial += Pod(held.back()) == "pod-2";
  }
  EXPECT_EQ(on_trial, 1);
  for (Load& load : held) load.OnDone(fake_now, true);
  EXPECT_FALSE(Find(2)->ejection().ejected());
}

class CountingAttachment : public EndpointAttachment {
 public:
  CountingAttachment(int* retired, int* destroyed) : retired_(retired), destroyed_(destroyed) {}
  ~CountingAttachment() override { ++*destroyed_; }
  void Retire() override { ++*retired_; }

 private:
  int* const retired_;
  int* const destroyed_;
};

TEST_F(EndpointSetTest, UpdatesKeepStatisticsAndAttachmentOfThoseThatStay) {
  Update(ReadyEndpoints(3));
  Endpoint* const stays = Find(2);
  stays->Attach(std::make_unique<CountingAttachment>(&retired_, &destroyed_));
  Load load(EndpointRef(stays), fake_now, &FakeNow);
  fake_now += 7 * kMillisecond;
  load.OnHead(fake_now);

  weft::v1::Endpoints endpoints;
  AddEndpoint(endpoints, 9);
  weft::v1::Endpoint* changed = AddEndpoint(endpoints, 2, weft::v1::HEALTH_DRAINING);
  changed->set_zone("b");
  changed->set_workload("tea-v2");
  Update(endpoints);

  EXPECT_EQ(Find(2), stays);
  EXPECT_EQ(stays->in_flight(), 1u);
  EXPECT_DOUBLE_EQ(stays->time_to_head(fake_now), 7 * kMillisecond);
  EXPECT_NE(stays->attachment(), nullptr);
  EXPECT_EQ(stays->config().zone, "b");
  EXPECT_EQ(stays->config().workload, "tea-v2");
  EXPECT_EQ(stays->config().health, weft::v1::HEALTH_DRAINING);
  EXPECT_EQ(retired_, 0);
  EXPECT_EQ(Find(1), nullptr);
  EXPECT_EQ(set_.endpoints().size(), 2u);
}

TEST_F(EndpointSetTest, AnotherIdentityAtTheSameAddressIsAnotherEndpoint) {
  weft::v1::Endpoints endpoints = ReadyEndpoints(1);
  Update(endpoints);
  const EndpointRef before(Find(1));
  const std::vector<void (*)(weft::v1::Endpoint*)> changes = {
      [](weft::v1::Endpoint* e) { e->set_spiffe_id("spiffe://cluster.local/ns/shop/sa/x"); },
      [](weft::v1::Endpoint* e) { e->set_pod("pod-1-again"); },
      [](weft::v1::Endpoint* e) { e->set_meshed(false); },
      [](weft::v1::Endpoint* e) { e->set_port(8081); },
  };
  for (const auto& change : changes) {
    Update(endpoints);
    const EndpointRef current(Find(1));
    weft::v1::Endpoints changed = endpoints;
    change(changed.mutable_endpoints(0));
    Update(changed);
    EXPECT_NE(Find(1), current.get());
    EXPECT_TRUE(current->retired());
  }
  EXPECT_TRUE(before->retired());
}

TEST_F(EndpointSetTest, AnEndpointThatLeavesIsRetiredOnceAndLivesAsLongAsItsRequests) {
  Update(ReadyEndpoints(1));
  Find(1)->Attach(std::make_unique<CountingAttachment>(&retired_, &destroyed_));
  {
    Load load = Pick(weft::v1::LB_METHOD_RANDOM);
    Update({});
    EXPECT_EQ(retired_, 1);
    EXPECT_EQ(destroyed_, 0);
    EXPECT_TRUE(load.endpoint().retired());
    EXPECT_EQ(load.endpoint().config().pod, "pod-1");
    load.OnDone(fake_now, true);
    EXPECT_EQ(destroyed_, 0);
  }
  EXPECT_EQ(retired_, 1);
  EXPECT_EQ(destroyed_, 1);
}

TEST_F(EndpointSetTest, WhatIsAttachedToARetiredEndpointIsRetiredAtOnce) {
  Update(ReadyEndpoints(1));
  const Load load = Pick(weft::v1::LB_METHOD_RANDOM);
  Update({});
  load.endpoint().Attach(std::make_unique<CountingAttachment>(&retired_, &destroyed_));
  EXPECT_EQ(retired_, 1);
}

TEST_F(EndpointSetTest, DestructionRetiresAll) {
  {
    EndpointSet set("shop/tea:80", &FakeNow);
    ASSERT_TRUE(set.Update(ReadyEndpoints(2)).ok());
    for (const EndpointRef& endpoint : set.endpoints()) {
      endpoint->Attach(std::make_unique<CountingAttachment>(&retired_, &destroyed_));
    }
  }
  EXPECT_EQ(retired_, 2);
  EXPECT_EQ(destroyed_, 2);
}

TEST_F(EndpointSetTest, ABadUpdateChangesNothing) {
  Update(ReadyEndpoints(2));
  Endpoint* const one = Find(1);
  weft::v1::Endpoints endpoints = ReadyEndpoints(5);
  endpoints.mutable_endpoints(3)->set_address("10.0.0");
  const absl::Status status = set_.Update(endpoints);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("Endpoints shop/tea:80: endpoints[3].address: \"10.0.0\""));
  EXPECT_EQ(set_.endpoints().size(), 2u);
  EXPECT_EQ(Find(1), one);
  EXPECT_FALSE(one->retired());
}

TEST_F(EndpointSetTest, WorkersShareTheConfigurationAndNothingElse) {
  const auto configs = ParseEndpoints("shop/tea:80", ReadyEndpoints(2));
  ASSERT_TRUE(configs.ok());
  EndpointSet other("shop/tea:80", &FakeNow);
  set_.Update(*configs);
  other.Update(*configs);
  EXPECT_EQ(&set_.endpoints()[0]->config(), &other.endpoints()[0]->config());
  EXPECT_NE(set_.endpoints()[0].get(), other.endpoints()[0].get());
}

TEST_F(EndpointSetTest, ManyRandomUpdatesAndPicksKeepTheCountsRight) {
  std::vector<Load> held;
  for (int round = 0; round < 300; ++round) {
    weft::v1::Endpoints endpoints;
    for (int host = 1; host <= 20; ++host) {
      if (random_.Below(3) == 0) continue;
      AddEndpoint(endpoints, host,
                  random_.Below(4) == 0 ? weft::v1::HEALTH_DRAINING : weft::v1::HEALTH_READY);
    }
    Update(endpoints);
    for (int i = 0; i < 20; ++i) {
      Load load = Pick(kAllMethods[random_.Below(kAllMethods.size())]);
      ASSERT_EQ(static_cast<bool>(load), set_.HasLive());
      if (load) held.push_back(std::move(load));
    }
    while (held.size() > 50) {
      std::swap(held[random_.Below(held.size())], held.back());
      fake_now += 100'000;
      switch (random_.Below(3)) {
        case 0:
          held.back().OnDone(fake_now, true);
          break;
        case 1:
          held.back().OnDone(fake_now, false);
          break;
        default:
          break;  // dropped
      }
      held.pop_back();
    }
    std::map<const Endpoint*, uint32_t> expected;
    for (const Load& load : held) ++expected[&load.endpoint()];
    for (const EndpointRef& endpoint : set_.endpoints()) {
      ASSERT_EQ(endpoint->in_flight(), expected[endpoint.get()]);
    }
  }
}

TEST_F(EndpointSetTest, OneThatJoinsOthersGetsItsShareByAndBy) {
  for (const weft::v1::LbMethod method :
       {weft::v1::LB_METHOD_ROUND_ROBIN, weft::v1::LB_METHOD_RANDOM, weft::v1::LB_METHOD_LEAST_CONN,
        weft::v1::LB_METHOD_LEAST_TIME}) {
    Update(weft::v1::Endpoints());
    Update(ReadyEndpoints(2));
    Update(ReadyEndpoints(3));
    const auto share = [&] {
      int picked = 0;
      for (int i = 0; i < 3000; ++i) {
        Load load = Pick(method);
        if (&load.endpoint() == Find(3)) ++picked;
        load.OnDone(fake_now, true);
      }
      return picked / 3000.0;
    };
    EXPECT_LT(share(), 0.12) << method;
    fake_now += Endpoint::kWarmUp / 2;
    EXPECT_GT(share(), 0.1) << method;
    EXPECT_LT(share(), 0.3) << method;
    fake_now += Endpoint::kWarmUp;
    EXPECT_GT(share(), 0.28) << method;
  }
}

TEST_F(EndpointSetTest, OneThatIsAloneNeedsNoWarmUp) {
  Update(ReadyEndpoints(1));
  weft::v1::Endpoints successor;
  AddEndpoint(successor, 9);
  Update(successor);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(&Pick(kAllMethods[i % 11]).endpoint(), Find(9));
}

}  // namespace
}  // namespace weft::upstream
