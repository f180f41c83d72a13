// Lets a test run a reactor until something has happened.
#ifndef WEFT_SIDECAR_DISCOVERY_TESTING_REACTOR_RUN_H_
#define WEFT_SIDECAR_DISCOVERY_TESTING_REACTOR_RUN_H_

#include <functional>

#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"

namespace weft::discovery {

// Runs the reactor until `condition` holds; false if it does not within the deadline.
inline bool RunUntil(io::Reactor& reactor, const std::function<bool()>& condition,
                     io::Nanos timeout = 20 * io::kSecond) {
  reactor.Bind();
  bool held = false;
  io::Spawn([](io::Reactor* r, const std::function<bool()>& c, io::Nanos deadline,
               bool* result) -> io::Task<void> {
    while (!(*result = c()) && io::MonotonicNow() < deadline) {
      co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
    }
    r->Stop();
  }(&reactor, condition, io::MonotonicNow() + timeout, &held));
  reactor.Run();
  return held;
}

// Runs the reactor until the task has ended.
inline void RunTask(io::Reactor& reactor, io::Task<void> task) {
  reactor.Bind();
  io::Spawn([](io::Reactor* r, io::Task<void> t) -> io::Task<void> {
    co_await std::move(t);
    r->Stop();
  }(&reactor, std::move(task)));
  reactor.Run();
}

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_TESTING_REACTOR_RUN_H_
