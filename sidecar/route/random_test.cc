#include "sidecar/route/random.h"

#include <array>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace weft::route {
namespace {

TEST(RandomTest, GivesTheSameNumbersForTheSameSeed) {
  Random a(7);
  Random b(7);
  Random c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t number = a();
    EXPECT_EQ(number, b());
    differs |= number != c();
  }
  EXPECT_TRUE(differs);
}

TEST(RandomTest, IsSeededDifferentlyEachTime) {
  Random a;
  Random b;
  EXPECT_NE(a(), b());
}

TEST(RandomTest, FollowsTheReferenceAlgorithm) {
  // xoshiro256++ over a SplitMix64 state of seed 0, computed from the authors' definition.
  std::array<uint64_t, 4> s = {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                               0xf88bb8a8724c81ec};
  const auto rotate = [](uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
  Random random(0);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t expected = rotate(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    ASSERT_EQ(random(), expected) << i;
  }
}

TEST(RandomTest, ScaleCoversTheRangeAndNoMore) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(Scale(0, 100), 0u);
  EXPECT_EQ(Scale(kMax, 100), 99u);
  EXPECT_EQ(Scale(uint64_t{1} << 63, 100), 50u);
  EXPECT_EQ(Scale(kMax, 1), 0u);
  EXPECT_EQ(Scale(kMax, kMax), kMax - 1);
}

TEST(RandomTest, BelowIsUniform) {
  Random random(42);
  std::array<int, 10> counts{};
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) ++counts[random.Below(counts.size())];
  for (const int count : counts) {
    EXPECT_NEAR(count, 10'000, 475);  // five standard deviations
  }
}

}  // namespace
}  // namespace weft::route
