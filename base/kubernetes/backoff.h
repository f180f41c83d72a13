// How long to leave an API server alone after a failure.
#ifndef WEFT_BASE_KUBERNETES_BACKOFF_H_
#define WEFT_BASE_KUBERNETES_BACKOFF_H_

#include <algorithm>

#include "absl/random/random.h"
#include "absl/time/time.h"

namespace weft::kubernetes {

// Doubles from failure to failure, with jitter, so that clients which failed together do not come
// back together. Not thread-safe.
class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration max) : first_(first), max_(max), next_(first) {}

  // The next wait: not less than what the server has asked for (zero: nothing).
  absl::Duration Next(absl::Duration retry_after = absl::ZeroDuration()) {
    const absl::Duration wait = std::max(next_, std::min(retry_after, kMaxRetryAfter));
    next_ = std::min(next_ * 2, max_);
    return Jitter(wait);
  }

  // After a success.
  void Reset() { next_ = first_; }

  // The duration and up to a quarter more.
  absl::Duration Jitter(absl::Duration duration) {
    return duration * absl::Uniform<double>(random_, 1.0, 1.25);
  }

 private:
  static constexpr absl::Duration kMaxRetryAfter = absl::Minutes(2);

  const absl::Duration first_;
  const absl::Duration max_;
  absl::Duration next_;
  absl::BitGen random_;
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_BACKOFF_H_
