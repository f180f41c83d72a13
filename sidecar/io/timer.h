// Deadlines of one thread, cheap to set and to cancel.
#ifndef WEFT_SIDECAR_IO_TIMER_H_
#define WEFT_SIDECAR_IO_TIMER_H_

#include <array>
#include <cstdint>
#include <limits>

namespace weft::io {

// Nanoseconds of CLOCK_MONOTONIC.
using Nanos = int64_t;
inline constexpr Nanos kNever = std::numeric_limits<Nanos>::max();
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

Nanos MonotonicNow();

// One deadline. Lives in its user (a coroutine's frame, a connection); cancels itself when
// destroyed.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { Cancel(); }

  void Cancel();
  bool armed() const { return next_ != nullptr; }

 protected:
  // Called once by TimerWheel::Advance, after the timer was disarmed.
  virtual void OnExpired() = 0;

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  Nanos deadline_ = 0;
  class TimerWheel* wheel_ = nullptr;
};

// A hierarchical timing wheel (Varghese and Lauck): three levels of 256 slots, ticks of 4 ms, so a
// timer may fire up to one tick late and never early. Setting and cancelling cost a few
// instructions.
class TimerWheel {
 public:
  explicit TimerWheel(Nanos now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms or re-arms.
  void Arm(Timer* timer, Nanos deadline);

  // Fires what is due.
  void Advance(Nanos now);

  // When Advance should be called next, at the latest; kNever if no timer is armed.
  Nanos NextDeadline() const;

  // Armed timers.
  uint64_t size() const { return size_; }

 private:
  friend class Timer;
  class Head : public Timer {
   public:
    Head();
    ~Head() override;
    void OnExpired() override {}
  };
  static constexpr int kLevels = 3;
  static constexpr int kSlotBits = 8;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr Nanos kTick = 4 * kMillisecond;

  void Place(Timer* timer);
  void Cascade(int level);

  uint64_t next_tick_;  // the first that has not been processed
  uint64_t size_ = 0;
  std::array<std::array<Head, kSlots>, kLevels> slots_;
};

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_TIMER_H_
