#include "sidecar/upstream/balance/ejection.h"

#include "gtest/gtest.h"

namespace weft::upstream {
namespace {

using io::kSecond;
using io::Nanos;

// Three failures at `now`.
Ejection EjectedAt(Nanos now) {
  Ejection ejection;
  for (uint32_t i = 0; i < Ejection::kFailures; ++i) ejection.OnFailure(now, now);
  return ejection;
}

TEST(EjectionTest, TakesThreeFailuresInARow) {
  Ejection ejection;
  ejection.OnFailure(0, 0);
  ejection.OnFailure(0, 0);
  ejection.OnSuccess(0);
  ejection.OnFailure(0, 0);
  ejection.OnFailure(0, 0);
  EXPECT_FALSE(ejection.ejected());
  EXPECT_TRUE(ejection.Allows(0));
  ejection.OnFailure(0, 0);
  EXPECT_TRUE(ejection.ejected());
  EXPECT_FALSE(ejection.Allows(0));
}

TEST(EjectionTest, LetsOneRequestTryAfterTheBackOff) {
  Ejection ejection = EjectedAt(0);
  EXPECT_FALSE(ejection.Allows(kSecond - 1));
  EXPECT_TRUE(ejection.Allows(kSecond));
  EXPECT_TRUE(ejection.OnStart(kSecond));
  EXPECT_FALSE(ejection.Allows(kSecond));
  EXPECT_FALSE(ejection.OnStart(kSecond));
  ejection.OnTrialEnd();  // given up: nothing learnt
  EXPECT_TRUE(ejection.Allows(kSecond));
}

TEST(EjectionTest, ASuccessOnTrialForgetsEverything) {
  Ejection ejection = EjectedAt(0);
  ejection.OnStart(kSecond);
  ejection.OnSuccess(kSecond);
  ejection.OnTrialEnd();
  EXPECT_FALSE(ejection.ejected());
  ejection.OnFailure(2 * kSecond, 2 * kSecond);
  ejection.OnFailure(2 * kSecond, 2 * kSecond);
  EXPECT_FALSE(ejection.ejected());
}

TEST(EjectionTest, BacksOffTwiceAsLongEachTimeUpToAMinute) {
  Ejection ejection = EjectedAt(0);
  Nanos now = 0;
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    EXPECT_EQ(ejection.until() - now, seconds * kSecond);
    now = ejection.until();
    ASSERT_TRUE(ejection.OnStart(now));
    ejection.OnFailure(now, now);
    ejection.OnTrialEnd();
  }
}

TEST(EjectionTest, RequestsFromBeforeTheEjectionTellNothing) {
  Ejection ejection = EjectedAt(5 * kSecond);
  ejection.OnSuccess(4 * kSecond);
  EXPECT_TRUE(ejection.ejected());
  ejection.OnFailure(4 * kSecond, 7 * kSecond);
  EXPECT_EQ(ejection.until(), 6 * kSecond);
}

}  // namespace
}  // namespace weft::upstream
