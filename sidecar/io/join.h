// Two computations at once.
#ifndef WEFT_SIDECAR_IO_JOIN_H_
#define WEFT_SIDECAR_IO_JOIN_H_

#include <utility>

#include "sidecar/io/event.h"
#include "sidecar/io/task.h"

namespace weft::io {

// co_await Both(a, b): runs both, interleaved on this thread, and ends when both have ended. What
// they refer to must live until then; to end one early, break what it waits for.
inline Task<void> Both(Task<void> a, Task<void> b) {
  Event done;
  bool finished = false;
  // The parameters are part of the coroutine's own frame, a lambda's captures would not be.
  constexpr auto kRun = [](Task<void> task, bool* ended, Event* event) -> Task<void> {
    co_await std::move(task);
    *ended = true;
    event->Notify();
  };
  Spawn(kRun(std::move(b), &finished, &done));
  co_await std::move(a);
  while (!finished) co_await Wait(done);
}

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_JOIN_H_
