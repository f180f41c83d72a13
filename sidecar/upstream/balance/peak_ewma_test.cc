#include "sidecar/upstream/balance/peak_ewma.h"

#include <cmath>

#include "gtest/gtest.h"

namespace weft::upstream {
namespace {

using io::kMillisecond;
using io::kSecond;

TEST(PeakEwmaTest, KnowsNothingAtFirst) {
  const PeakEwma ewma;
  EXPECT_FALSE(ewma.Known(0));
  EXPECT_EQ(ewma.At(kSecond), 0);
}

TEST(PeakEwmaTest, BelievesAPeakAtOnce) {
  PeakEwma ewma;
  ewma.Observe(kMillisecond, kSecond);
  EXPECT_DOUBLE_EQ(ewma.At(kSecond), kMillisecond);
  ewma.Observe(900 * kMillisecond, kSecond + 1);
  EXPECT_DOUBLE_EQ(ewma.At(kSecond + 1), 900 * kMillisecond);
}

TEST(PeakEwmaTest, BelievesAnImprovementInProportionToTime) {
  PeakEwma ewma;
  ewma.Observe(100 * kMillisecond, 0);
  ewma.Observe(10 * kMillisecond, 0);
  EXPECT_DOUBLE_EQ(ewma.At(0), 100 * kMillisecond);
  ewma.Observe(10 * kMillisecond, 10 * kSecond);
  const double weight = std::exp(-1);
  EXPECT_DOUBLE_EQ(ewma.At(10 * kSecond),
                   100 * kMillisecond * weight + 10 * kMillisecond * (1 - weight));
}

TEST(PeakEwmaTest, DecaysWhileNothingComesAndForgetsInTheEnd) {
  PeakEwma ewma;
  ewma.Observe(100 * kMillisecond, 0);
  EXPECT_DOUBLE_EQ(ewma.At(20 * kSecond), 100 * kMillisecond * std::exp(-2));
  EXPECT_TRUE(ewma.Known(50 * kSecond - 1));
  EXPECT_FALSE(ewma.Known(50 * kSecond));
  EXPECT_EQ(ewma.At(50 * kSecond), 0);
  ewma.Observe(kMillisecond, 60 * kSecond);
  EXPECT_DOUBLE_EQ(ewma.At(60 * kSecond), kMillisecond);
}

TEST(PeakEwmaTest, ALowerBoundOnlyRaisesIt) {
  PeakEwma ewma;
  ewma.Observe(100 * kMillisecond, 0);
  ewma.ObserveAtLeast(kMillisecond, kSecond);
  EXPECT_DOUBLE_EQ(ewma.At(kSecond), 100 * kMillisecond * std::exp(-0.1));
  ewma.ObserveAtLeast(500 * kMillisecond, kSecond);
  EXPECT_DOUBLE_EQ(ewma.At(kSecond), 500 * kMillisecond);
}

TEST(PeakEwmaTest, SurvivesAClockThatStandsStillOrASampleOfZero) {
  PeakEwma ewma;
  ewma.Observe(0, kSecond);
  EXPECT_TRUE(ewma.Known(kSecond));
  ewma.Observe(5, kSecond - 1);
  EXPECT_DOUBLE_EQ(ewma.At(kSecond - 2), 5);
}

}  // namespace
}  // namespace weft::upstream
