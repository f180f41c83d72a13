// SIGTERM and SIGINT as an event of a reactor.
#ifndef WEFT_SIDECAR_SIGNALS_H_
#define WEFT_SIDECAR_SIGNALS_H_

#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"

namespace weft {

// Made on the reactor's thread and before any other thread, which inherit the mask. SIGHUP and
// SIGPIPE are ignored.
class Signals final : private io::Pollable {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() override;

  // Whether one has come since the last call that was true.
  bool Take();
  io::Event& arrived() { return arrived_; }

 private:
  void OnReady(uint32_t /*epoll_events*/) override { arrived_.Notify(); }

  int fd_;
  io::Event arrived_;
};

}  // namespace weft

#endif  // WEFT_SIDECAR_SIGNALS_H_
