#include "sidecar/upstream/balance/load.h"

#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "sidecar/upstream/balance/testing.h"

namespace weft::upstream {
namespace {

using io::kMillisecond;
using io::kSecond;

class LoadTest : public ::testing::Test {
 protected:
  LoadTest() : endpoint_(new Endpoint(std::make_shared<EndpointConfig>())) {
    fake_now = 100 * kSecond;
  }

  Load Begin() { return Load(endpoint_, fake_now, &FakeNow); }

  const EndpointRef endpoint_;
};

TEST_F(LoadTest, CountsARequestFromConstructionToItsEnd) {
  Load load = Begin();
  EXPECT_EQ(endpoint_->in_flight(), 1u);
  fake_now += 5 * kMillisecond;
  load.OnHead(fake_now);
  EXPECT_EQ(endpoint_->in_flight(), 1u);
  fake_now += 20 * kMillisecond;
  load.OnDone(fake_now, true);
  EXPECT_EQ(endpoint_->in_flight(), 0u);
  EXPECT_DOUBLE_EQ(endpoint_->time_to_last_byte(fake_now), 25 * kMillisecond);
  EXPECT_NEAR(endpoint_->time_to_head(fake_now), 5 * kMillisecond, 0.02 * kMillisecond);
}

TEST_F(LoadTest, SettlesOnce) {
  {
    Load load = Begin();
    load.OnDone(fake_now, true);
    load.OnDone(fake_now, false);
    load.OnAbort(fake_now);
    load.OnHead(fake_now);
  }
  EXPECT_EQ(endpoint_->in_flight(), 0u);
}

TEST_F(LoadTest, MovingHandsTheTicketOn) {
  Load a = Begin();
  Load b = std::move(a);
  EXPECT_EQ(endpoint_->in_flight(), 1u);
  Load c = Begin();
  c = std::move(b);  // what c held is given up
  EXPECT_EQ(endpoint_->in_flight(), 1u);
  c = Load();
  EXPECT_EQ(endpoint_->in_flight(), 0u);
  EXPECT_FALSE(c);
}

TEST_F(LoadTest, ADroppedTicketNeverCountsAsFast) {
  Load measured = Begin();
  fake_now += 50 * kMillisecond;
  measured.OnDone(fake_now, true);
  {
    const Load aborted = Begin();
    fake_now += kMillisecond;
  }
  EXPECT_EQ(endpoint_->in_flight(), 0u);
  EXPECT_GT(endpoint_->time_to_head(fake_now), 49.9 * kMillisecond);
  EXPECT_GT(endpoint_->time_to_last_byte(fake_now), 49.9 * kMillisecond);
}

TEST_F(LoadTest, ADroppedTicketCountsAsSlowIfItHadLastedLonger) {
  Load measured = Begin();
  fake_now += 50 * kMillisecond;
  measured.OnDone(fake_now, true);
  {
    const Load aborted = Begin();
    fake_now += 3 * kSecond;
  }
  EXPECT_DOUBLE_EQ(endpoint_->time_to_head(fake_now), 3 * kSecond);
  EXPECT_DOUBLE_EQ(endpoint_->time_to_last_byte(fake_now), 3 * kSecond);
}

TEST_F(LoadTest, AnEndpointThatNeverAnsweredDoesNotLookGood) {
  {
    const Load aborted = Begin();
    fake_now += kMillisecond;
  }
  EXPECT_DOUBLE_EQ(endpoint_->time_to_head(fake_now), kSecond);
}

TEST_F(LoadTest, AFailureIsNotFastAndCountsTowardsEjection) {
  Load measured = Begin();
  fake_now += 50 * kMillisecond;
  measured.OnDone(fake_now, true);
  for (uint32_t i = 0; i < Ejection::kFailures; ++i) {
    EXPECT_FALSE(endpoint_->ejection().ejected());
    Load load = Begin();
    fake_now += 1000;
    load.OnDone(fake_now, false);
  }
  EXPECT_TRUE(endpoint_->ejection().ejected());
  EXPECT_GT(endpoint_->time_to_head(fake_now), 49.9 * kMillisecond);
}

TEST_F(LoadTest, AbortsDoNotEject) {
  for (int i = 0; i < 100; ++i) Begin();
  EXPECT_FALSE(endpoint_->ejection().ejected());
}

TEST_F(LoadTest, ATrialThatIsDroppedLeavesRoomForTheNext) {
  for (uint32_t i = 0; i < Ejection::kFailures; ++i) Begin().OnDone(fake_now, false);
  fake_now += kSecond;
  {
    const Load trial = Begin();
    EXPECT_FALSE(endpoint_->ejection().Allows(fake_now));
  }
  EXPECT_TRUE(endpoint_->ejection().Allows(fake_now));
}

TEST_F(LoadTest, HoldsTheEndpoint) {
  Load load;
  {
    const EndpointRef endpoint(new Endpoint(std::make_shared<EndpointConfig>()));
    load = Load(endpoint, fake_now, &FakeNow);
  }
  EXPECT_EQ(load.endpoint().in_flight(), 1u);
}

TEST_F(LoadTest, CostIsExpectedTimeTimesTheRequestsThatShareIt) {
  constexpr auto kMethod = weft::v1::LB_METHOD_LEAST_TIME;
  Load first = Begin();
  fake_now += 10 * kMillisecond;
  first.OnDone(fake_now, true);
  EXPECT_DOUBLE_EQ(endpoint_->Cost(kMethod, fake_now), 10.0 * kMillisecond);
  const Load second = Begin();
  const Load third = Begin();
  EXPECT_DOUBLE_EQ(endpoint_->Cost(kMethod, fake_now), 30.0 * kMillisecond);
}

TEST_F(LoadTest, AnUnknownEndpointIsTriedByOneRequestAtATime) {
  constexpr auto kMethod = weft::v1::LB_METHOD_LEAST_TIME;
  EXPECT_EQ(endpoint_->Cost(kMethod, fake_now), 0);
  Load load = Begin();
  EXPECT_GT(endpoint_->Cost(kMethod, fake_now), 1e9 * kSecond);
  fake_now += kMillisecond;
  load.OnHead(fake_now);
  EXPECT_DOUBLE_EQ(endpoint_->Cost(kMethod, fake_now), 2.0 * kMillisecond);
  // Forgotten while a long response runs: tried again, for no answer is awaited.
  fake_now += 60 * kSecond;
  EXPECT_EQ(endpoint_->Cost(kMethod, fake_now), 1);
}

TEST_F(LoadTest, LastByteMethodsMeasureToTheEndOfTheResponse) {
  Load load = Begin();
  fake_now += 10 * kMillisecond;
  load.OnHead(fake_now);
  EXPECT_DOUBLE_EQ(endpoint_->Cost(weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE, fake_now),
                   20.0 * kMillisecond);
  fake_now += 90 * kMillisecond;
  load.OnDone(fake_now, true);
  EXPECT_DOUBLE_EQ(endpoint_->Cost(weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE, fake_now),
                   100.0 * kMillisecond);
  EXPECT_DOUBLE_EQ(endpoint_->Cost(weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE, fake_now),
                   100.0 * kMillisecond);
  EXPECT_LT(endpoint_->Cost(weft::v1::LB_METHOD_LEAST_TIME, fake_now), 11.0 * kMillisecond);
}

TEST_F(LoadTest, TheInflightMethodAddsWhatIsUnfinished) {
  constexpr auto kMethod = weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT;
  Load done = Begin();
  fake_now += 10 * kMillisecond;
  done.OnDone(fake_now, true);
  const Load a = Begin();
  fake_now += 2 * kSecond;
  const Load b = Begin();
  fake_now += 2 * kSecond;
  // Running for 4 s and 2 s: 3 s on average, for three.
  EXPECT_DOUBLE_EQ(endpoint_->Cost(kMethod, fake_now), 9.0 * kSecond);
  EXPECT_LT(endpoint_->Cost(weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE, fake_now), 0.1 * kSecond);
}

}  // namespace
}  // namespace weft::upstream
