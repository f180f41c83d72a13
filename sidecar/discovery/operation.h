// An asynchronous gRPC operation that a coroutine of the main reactor awaits.
#ifndef WEFT_SIDECAR_DISCOVERY_OPERATION_H_
#define WEFT_SIDECAR_DISCOVERY_OPERATION_H_

#include "sidecar/io/event.h"
#include "sidecar/io/task.h"

namespace weft::discovery {

// Its address is the tag given to gRPC. Each use of the tag must be awaited before the next one and
// before the operation goes away. Main reactor only.
class Operation {
 public:
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  void* tag() { return this; }

  // Returns what gRPC says: false means, depending on the call, that there is nothing more or that
  // it failed.
  io::Task<bool> Done() {
    while (!done_) co_await io::Wait(event_);
    done_ = false;
    co_return ok_;
  }

  // Called on the main reactor by whoever runs the completion queue.
  void Complete(bool ok) {
    done_ = true;
    ok_ = ok;
    event_.Notify();
  }

 private:
  io::Event event_;
  bool done_ = false;
  bool ok_ = false;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_OPERATION_H_
