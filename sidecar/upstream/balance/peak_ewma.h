// An estimate of latency that believes bad news at once and good news slowly.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_PEAK_EWMA_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_PEAK_EWMA_H_

#include <algorithm>
#include <cmath>

#include "sidecar/io/timer.h"

namespace weft::upstream {

// The peak-sensitive, exponentially weighted moving average of Finagle and Linkerd, in nanoseconds,
// with a time constant of 10 s: a sample above the average replaces it; one below draws it down in
// proportion to the time that has passed. The average also decays while no samples come, so that an
// endpoint that was slow once is tried again; after 50 s nothing is known of it any more.
class PeakEwma {
 public:
  static constexpr io::Nanos kTimeConstant = 10 * io::kSecond;
  static constexpr io::Nanos kForgotten = 5 * kTimeConstant;

  void Observe(io::Nanos sample, io::Nanos now) {
    const double value = static_cast<double>(std::max<io::Nanos>(sample, 1));
    if (value > value_ || !Known(now)) {
      value_ = value;
    } else {
      const double weight = Weight(now);
      value_ = value_ * weight + value * (1 - weight);
    }
    stamp_ = now;
  }

  // Evidence that the latency is no less than `sample` (the answer has not come): may only raise
  // the average.
  void ObserveAtLeast(io::Nanos sample, io::Nanos now) {
    if (static_cast<double>(sample) > At(now)) Observe(sample, now);
  }

  bool Known(io::Nanos now) const { return value_ > 0 && now - stamp_ < kForgotten; }

  // 0 if nothing is known.
  double At(io::Nanos now) const { return Known(now) ? value_ * Weight(now) : 0; }

 private:
  double Weight(io::Nanos now) const {
    const io::Nanos age = std::max<io::Nanos>(now - stamp_, 0);
    return std::exp(-static_cast<double>(age) / static_cast<double>(kTimeConstant));
  }

  double value_ = 0;
  io::Nanos stamp_ = 0;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_PEAK_EWMA_H_
