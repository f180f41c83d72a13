// How much retries may add to what upstreams are asked.
#ifndef WEFT_SIDECAR_PROXY_RETRY_BUDGET_H_
#define WEFT_SIDECAR_PROXY_RETRY_BUDGET_H_

#include <algorithm>

#include "sidecar/io/timer.h"

namespace weft::proxy {

// A bucket of retries, full at first: every five requests pay for one, and ten a second are free,
// so that a quiet client may retry too. An outage is then multiplied by 1.2 and not by the number
// of attempts. One thread.
class RetryBudget {
 public:
  static constexpr io::Nanos kRequestsForOne = 5;
  static constexpr io::Nanos kFreePerSecond = 10;
  static constexpr io::Nanos kMost = 100;  // retries at once

  void OnRequest() { saved_ = std::min(saved_ + kOne / kRequestsForOne, kMost * kOne); }

  // Pays for one retry; false if the bucket is empty.
  bool Take(io::Nanos now) {
    saved_ = std::min(saved_ + std::max<io::Nanos>(now - last_, 0), kMost * kOne);
    last_ = now;
    if (saved_ < kOne) return false;
    saved_ -= kOne;
    return true;
  }

 private:
  // In the time that earns it.
  static constexpr io::Nanos kOne = io::kSecond / kFreePerSecond;

  io::Nanos saved_ = kMost * kOne;
  io::Nanos last_ = 0;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_RETRY_BUDGET_H_
