// Carries bytes between two streams, both ways.
#ifndef WEFT_SIDECAR_DISCOVERY_RELAY_H_
#define WEFT_SIDECAR_DISCOVERY_RELAY_H_

#include <memory>

#include "sidecar/io/event.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"

namespace weft::discovery {

// One buffer of 16 KiB each way, held only while it has bytes; a slow reader slows its writer. The
// end of one direction is passed on and the other goes on; a failure ends both. One reactor.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(std::unique_ptr<io::Stream> near, std::unique_ptr<io::Stream> far);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Once. Both streams are closed when both directions have ended.
  void Start();

  // Ends both directions soon, whatever is in the buffers.
  void Cut();

 private:
  struct Direction {
    io::Stream* from;
    io::Stream* to;
    io::Event cut;
  };
  enum class Outcome { kEnd, kFailed };

  static io::Task<void> Run(std::shared_ptr<Relay> self, Direction* direction);
  io::Task<Outcome> Pump(Direction* direction);

  std::unique_ptr<io::Stream> near_;
  std::unique_ptr<io::Stream> far_;
  Direction outward_;
  Direction inward_;
  int running_ = 0;
  bool cut_ = false;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_RELAY_H_
