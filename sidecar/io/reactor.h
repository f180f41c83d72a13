// The event loop of one thread.
#ifndef WEFT_SIDECAR_IO_REACTOR_H_
#define WEFT_SIDECAR_IO_REACTOR_H_

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "sidecar/io/timer.h"

namespace weft::io {

// Told by the kernel that a descriptor may be read or written. Edge-triggered: told once per
// change.
class Pollable {
 public:
  virtual ~Pollable() = default;
  virtual void OnReady(uint32_t epoll_events) = 0;
};

// Work that is worth doing once for everything that happened in one turn of the loop, such as
// writing what many requests have put into one connection. Intrusive: joining the list costs no
// memory.
class EndOfTurn {
 public:
  virtual ~EndOfTurn();

 protected:
  virtual void OnEndOfTurn() = 0;

 private:
  friend class Reactor;
  EndOfTurn* next_ = nullptr;
  class Reactor* queued_in_ = nullptr;
};

// Runs coroutines that are ready, then the end-of-turn work, then waits in epoll for more.
// Everything but Post() and Stop() belongs to the thread that calls Run().
class Reactor {
 public:
  Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();

  // The reactor that runs on this thread (since its construction or Bind()).
  static Reactor* Current();
  // Makes this the calling thread's reactor; Run() does it too.
  void Bind();

  // Returns after Stop().
  void Run();

  // From any thread: ends Run() at the end of its turn.
  void Stop();

  // From any thread: runs `work` on the reactor's thread, in order of the calls.
  void Post(std::function<void()> work);

  // The coroutine runs later in this turn, after those already scheduled.
  void Schedule(std::coroutine_handle<> handle) { ready_.push_back(handle); }

  // OnEndOfTurn() is called once when all ready coroutines have run.
  void AtEndOfTurn(EndOfTurn* work);

  // Watches a descriptor for both directions, edge-triggered, until Remove().
  // False if the kernel refuses (no memory, too many watches); errno says why.
  bool Add(int fd, Pollable* pollable);
  void Remove(int fd);

  TimerWheel& timers() { return timers_; }

  // The time at which this turn began.
  Nanos now() const { return now_; }

 private:
  void RunTurn();
  void RunPosted();

  int epoll_fd_;
  int wake_fd_;
  Nanos now_;
  TimerWheel timers_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  EndOfTurn* end_of_turn_ = nullptr;
  EndOfTurn* end_of_turn_last_ = nullptr;

  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  friend class EndOfTurn;
};

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_REACTOR_H_
