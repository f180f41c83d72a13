// Whether an endpoint is left out because it failed, and for how long.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_EJECTION_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_EJECTION_H_

#include <algorithm>
#include <cstdint>

#include "sidecar/io/timer.h"

namespace weft::upstream {

// Three failures in a row eject an endpoint for 1 s. After that it is on probation: one request at
// a time may try it. If that fails too, it is out for twice as long, up to a minute; if it
// succeeds, all is forgotten. Only requests that began after the ejection count then: older ones
// tell nothing new.
class Ejection {
 public:
  static constexpr uint32_t kFailures = 3;
  static constexpr io::Nanos kFirst = io::kSecond;
  static constexpr io::Nanos kLongest = 60 * io::kSecond;

  // May be picked.
  bool Allows(io::Nanos now) const { return times_ == 0 || (now >= until_ && !on_trial_); }
  bool ejected() const { return times_ > 0; }
  io::Nanos until() const { return until_; }

  // A request is about to use the endpoint; true if it is the one on trial, which must be settled
  // by OnTrialEnd() whatever becomes of it.
  bool OnStart(io::Nanos now) {
    if (times_ == 0 || now < until_ || on_trial_) return false;
    on_trial_ = true;
    return true;
  }
  void OnTrialEnd() { on_trial_ = false; }

  // `started` is when the request began.
  void OnSuccess(io::Nanos started) {
    if (times_ > 0 && started < since_) return;
    failures_ = 0;
    times_ = 0;
  }

  void OnFailure(io::Nanos started, io::Nanos now) {
    if (times_ == 0) {
      if (++failures_ >= kFailures) Eject(now);
    } else if (started >= until_) {
      Eject(now);
    }
  }

 private:
  void Eject(io::Nanos now) {
    const io::Nanos back_off = std::min(kFirst << std::min<uint32_t>(times_, 6), kLongest);
    ++times_;
    since_ = now;
    until_ = now + back_off;
  }

  uint32_t failures_ = 0;  // in a row
  uint32_t times_ = 0;     // ejected in a row; 0: in use
  io::Nanos since_ = 0;
  io::Nanos until_ = 0;
  bool on_trial_ = false;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_EJECTION_H_
