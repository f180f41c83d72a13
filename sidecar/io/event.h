// How a coroutine waits for something to happen on its own thread.
#ifndef WEFT_SIDECAR_IO_EVENT_H_
#define WEFT_SIDECAR_IO_EVENT_H_

#include <array>
#include <coroutine>
#include <cstddef>

#include "sidecar/io/reactor.h"
#include "sidecar/io/timer.h"

namespace weft::io {

class Event;

namespace internal {

// One suspended coroutine and the events it waits for.
class WaiterBase : public Timer {
 public:
  explicit WaiterBase(Reactor* reactor) : reactor_(reactor) {}

  void Fire(Event* event);

 protected:
  void OnExpired() override { Fire(nullptr); }
  virtual void Detach() = 0;

  Reactor* const reactor_;
  std::coroutine_handle<> handle_;
  Event* fired_ = nullptr;
};

}  // namespace internal

// "Something may have changed": one coroutine at a time waits for it. A notification that comes
// while nobody waits is remembered, once. A waiter may be woken without cause, so it looks at the
// state again. Notify() never runs the waiter at once: it joins the reactor's run queue. One
// thread.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void Notify() {
    if (waiter_ != nullptr) {
      waiter_->Fire(this);
    } else {
      signalled_ = true;
    }
  }

  // Forgets a remembered notification.
  void Reset() { signalled_ = false; }

 private:
  template <size_t N>
  friend class Waiter;

  internal::WaiterBase* waiter_ = nullptr;
  bool signalled_ = false;
};

inline void internal::WaiterBase::Fire(Event* event) {
  fired_ = event;
  Detach();
  Cancel();
  reactor_->Schedule(handle_);
}

// The awaitable behind Wait().
template <size_t N>
class Waiter final : public internal::WaiterBase {
 public:
  Waiter(Reactor* reactor, std::array<Event*, N> events, Nanos deadline)
      : WaiterBase(reactor), events_(events), deadline_(deadline) {}

  bool await_ready() {
    for (Event* event : events_) {
      if (event->signalled_) {
        event->signalled_ = false;
        fired_ = event;
        return true;
      }
    }
    return false;
  }

  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    for (Event* event : events_) event->waiter_ = this;
    if (deadline_ != kNever) reactor_->timers().Arm(this, deadline_);
  }

  // The event that came, or nullptr when the deadline passed first.
  Event* await_resume() const { return fired_; }

 private:
  void Detach() override {
    for (Event* event : events_) event->waiter_ = nullptr;
  }

  std::array<Event*, N> events_;
  const Nanos deadline_;
};

// co_await Wait(event, deadline): the event that fired, nullptr at the deadline (of
// MonotonicNow()). The events must outlive the wait.
inline Waiter<1> Wait(Event& event, Nanos deadline = kNever) {
  return {Reactor::Current(), {&event}, deadline};
}
inline Waiter<2> Wait(Event& a, Event& b, Nanos deadline = kNever) {
  return {Reactor::Current(), {&a, &b}, deadline};
}
inline Waiter<3> Wait(Event& a, Event& b, Event& c, Nanos deadline = kNever) {
  return {Reactor::Current(), {&a, &b, &c}, deadline};
}

// co_await Sleep(deadline).
inline Waiter<0> Sleep(Nanos deadline) { return {Reactor::Current(), {}, deadline}; }

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_EVENT_H_
