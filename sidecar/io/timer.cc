#include "sidecar/io/timer.h"

#include <ctime>

namespace weft::io {

Nanos MonotonicNow() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * kSecond + ts.tv_nsec;
}

void Timer::Cancel() {
  if (!armed()) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
  if (wheel_ != nullptr) --wheel_->size_;
}

TimerWheel::Head::Head() {
  // A list head points at itself when its slot is empty.
  next_ = previous_ = this;
}

TimerWheel::Head::~Head() {
  while (next_ != this) {
    Timer* timer = next_;
    timer->wheel_ = nullptr;
    timer->Cancel();
  }
  next_ = previous_ = nullptr;
}

TimerWheel::TimerWheel(Nanos now) : next_tick_(static_cast<uint64_t>(now / kTick) + 1) {}

void TimerWheel::Arm(Timer* timer, Nanos deadline) {
  timer->Cancel();
  if (deadline == kNever) return;
  timer->deadline_ = deadline;
  timer->wheel_ = this;
  ++size_;
  Place(timer);
}

void TimerWheel::Place(Timer* timer) {
  // Rounded up: never early. What is overdue goes to the next tick that Advance will look at.
  auto tick = static_cast<uint64_t>((timer->deadline_ + kTick - 1) / kTick);
  if (tick < next_tick_) tick = next_tick_;
  constexpr uint64_t kHorizon = (uint64_t{1} << (kSlotBits * kLevels)) - 1;
  if (tick - next_tick_ > kHorizon) tick = next_tick_ + kHorizon;
  int level = 0;
  while (level < kLevels - 1 &&
         (tick >> (kSlotBits * (level + 1))) != (next_tick_ >> (kSlotBits * (level + 1)))) {
    ++level;
  }
  Head& head = slots_[level][(tick >> (kSlotBits * level)) & (kSlots - 1)];
  timer->next_ = &head;
  timer->previous_ = head.previous_;
  head.previous_->next_ = timer;
  head.previous_ = timer;
}

void TimerWheel::Cascade(int level) {
  Head& head = slots_[level][(next_tick_ >> (kSlotBits * level)) & (kSlots - 1)];
  if (head.next_ == &head) return;
  // Detach the whole slot first: what belongs into this very slot again must not be visited twice.
  Timer* timer = head.next_;
  head.previous_->next_ = nullptr;
  head.next_ = head.previous_ = &head;
  while (timer != nullptr) {
    Timer* next = timer->next_;
    Place(timer);
    timer = next;
  }
}

void TimerWheel::Advance(Nanos now) {
  const auto target = static_cast<uint64_t>(now / kTick);
  if (size_ == 0) {
    if (target >= next_tick_) next_tick_ = target + 1;
    return;
  }
  while (next_tick_ <= target) {
    // Timers of a higher level come down when the wheel below starts a new round.
    for (int level = kLevels - 1; level > 0; --level) {
      if ((next_tick_ & ((uint64_t{1} << (kSlotBits * level)) - 1)) == 0) Cascade(level);
    }
    Head& due = slots_[0][next_tick_ & (kSlots - 1)];
    ++next_tick_;
    while (due.next_ != &due) {
      Timer* timer = due.next_;
      timer->Cancel();
      timer->OnExpired();
    }
  }
}

Nanos TimerWheel::NextDeadline() const {
  if (size_ == 0) return kNever;
  // The rest of this round of the lowest wheel; beyond it, the round's end, where Cascade looks
  // again.
  const uint64_t round_end = (next_tick_ | (kSlots - 1)) + 1;
  if ((next_tick_ & (kSlots - 1)) == 0) return static_cast<Nanos>(next_tick_) * kTick;
  for (uint64_t tick = next_tick_; tick < round_end; ++tick) {
    const Head& head = slots_[0][tick & (kSlots - 1)];
    if (head.next_ != &head) return static_cast<Nanos>(tick) * kTick;
  }
  return static_cast<Nanos>(round_end) * kTick;
}

}  // namespace weft::io
