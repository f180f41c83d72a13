// How long to wait before the next attempt.
#ifndef WEFT_SIDECAR_DISCOVERY_BACKOFF_H_
#define WEFT_SIDECAR_DISCOVERY_BACKOFF_H_

#include <algorithm>

#include "absl/random/uniform_int_distribution.h"
#include "sidecar/io/timer.h"

namespace weft::discovery {

// Doubles from `min` to `max`. Each wait is drawn evenly from half of it to all of it, so that
// sidecars which lost the same control plane do not come back at one moment.
class Backoff {
 public:
  Backoff(io::Nanos min, io::Nanos max) : min_(min), max_(max), next_(min) {}

  template <typename Generator>
  io::Nanos Next(Generator& random) {
    const io::Nanos full = next_;
    next_ = std::min(max_, next_ * 2);
    return absl::uniform_int_distribution<io::Nanos>(full / 2, full)(random);
  }

  void Reset() { next_ = min_; }

 private:
  const io::Nanos min_;
  const io::Nanos max_;
  io::Nanos next_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_BACKOFF_H_
