#include "sidecar/io/timer.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace weft::io {
namespace {

class RecordingTimer : public Timer {
 public:
  void OnExpired() override { ++fired; }
  int fired = 0;
};

TEST(TimerWheelTest, FiresEachTimerOnceNeverEarlyAndAtMostATickLate) {
  std::mt19937_64 random(7);
  Nanos now = 123'456'789'012;
  TimerWheel wheel(now);
  struct Case {
    std::unique_ptr<RecordingTimer> timer;
    Nanos deadline;
  };
  std::vector<Case> cases;
  const std::vector<Nanos> spans = {1, 4 * kMillisecond, kSecond, 100 * kSecond, 5000 * kSecond};
  for (int i = 0; i < 2000; ++i) {
    const Nanos span = spans[i % spans.size()];
    const Nanos deadline = now + static_cast<Nanos>(random() % static_cast<uint64_t>(span));
    cases.push_back({std::make_unique<RecordingTimer>(), deadline});
    wheel.Arm(cases.back().timer.get(), deadline);
  }
  while (wheel.size() > 0) {
    const Nanos next = wheel.NextDeadline();
    ASSERT_GT(next, now);
    now = next;
    wheel.Advance(now);
    for (const Case& c : cases) {
      if (c.deadline > now) {
        ASSERT_EQ(c.timer->fired, 0);
      } else if (c.deadline + 8 * kMillisecond <= now) {
        ASSERT_EQ(c.timer->fired, 1);
      }
    }
  }
  EXPECT_TRUE(std::ranges::all_of(cases, [](const Case& c) { return c.timer->fired == 1; }));
  EXPECT_EQ(wheel.NextDeadline(), kNever);
}

TEST(TimerWheelTest, FiresLongTimersAfterLongSilence) {
  TimerWheel wheel(0);
  RecordingTimer timer;
  wheel.Arm(&timer, 20 * 3600 * kSecond);  // beyond the wheel's horizon
  wheel.Advance(19 * 3600 * kSecond);
  EXPECT_EQ(timer.fired, 0);
  wheel.Advance(21 * 3600 * kSecond);
  EXPECT_EQ(timer.fired, 1);
}

TEST(TimerWheelTest, ForgetsCancelledAndDestroyedTimers) {
  TimerWheel wheel(0);
  RecordingTimer cancelled;
  {
    RecordingTimer destroyed;
    wheel.Arm(&cancelled, kSecond);
    wheel.Arm(&destroyed, kSecond);
    EXPECT_EQ(wheel.size(), 2u);
    cancelled.Cancel();
  }
  EXPECT_EQ(wheel.size(), 0u);
  wheel.Advance(10 * kSecond);
  EXPECT_EQ(cancelled.fired, 0);
}

TEST(TimerWheelTest, RearmingMovesTheDeadline) {
  TimerWheel wheel(0);
  RecordingTimer timer;
  wheel.Arm(&timer, kSecond);
  wheel.Arm(&timer, 3 * kSecond);
  wheel.Advance(2 * kSecond);
  EXPECT_EQ(timer.fired, 0);
  wheel.Advance(4 * kSecond);
  EXPECT_EQ(timer.fired, 1);
}

}  // namespace
}  // namespace weft::io
