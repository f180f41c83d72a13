// A budget for what a peer may do too often.
#ifndef WEFT_SIDECAR_HTTP_H2_RATE_GUARD_H_
#define WEFT_SIDECAR_HTTP_H2_RATE_GUARD_H_

#include <algorithm>
#include <cstdint>

#include "sidecar/io/timer.h"

namespace weft::http::h2 {

struct Rate {
  uint32_t burst;
  uint32_t per_second;
};

// A token bucket that honest work refills too: a peer that does much may err much.
class RateGuard {
 public:
  RateGuard(Rate rate, io::Nanos now) : rate_(rate), tokens_(rate.burst), refilled_(now) {}

  // False if the budget is spent.
  bool Spend(io::Nanos now) {
    if (tokens_ == 0) Refill(now);
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

  void Earn(uint32_t tokens) {
    tokens_ = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{tokens_} + tokens, rate_.burst));
  }

 private:
  void Refill(io::Nanos now) {
    const uint64_t earned =
        static_cast<uint64_t>((now - refilled_) / 1000) * rate_.per_second / (io::kSecond / 1000);
    if (earned == 0) return;
    refilled_ = now;
    Earn(static_cast<uint32_t>(std::min<uint64_t>(earned, rate_.burst)));
  }

  const Rate rate_;
  uint32_t tokens_;
  io::Nanos refilled_;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_RATE_GUARD_H_
