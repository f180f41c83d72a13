#include "sidecar/upstream/balance/load.h"

#include <algorithm>
#include <utility>

namespace weft::upstream {
namespace {

// What an unanswered request says of an endpoint of which nothing is known: it may be dead, so let
// it not look like the best choice. Decays like any estimate.
constexpr io::Nanos kUnanswered = io::kSecond;

}  // namespace

Load::Load(EndpointRef endpoint, io::Nanos now, Clock clock)
    : endpoint_(std::move(endpoint)), started_(now), clock_(clock), in_flight_(true) {
  ++endpoint_->in_flight_;
  ++endpoint_->awaiting_head_;
  endpoint_->started_sum_ += static_cast<uint64_t>(now);
  on_trial_ = endpoint_->ejection_.OnStart(now);
}

Load::Load(Load&& other) noexcept
    : endpoint_(std::move(other.endpoint_)),
      started_(other.started_),
      clock_(other.clock_),
      in_flight_(std::exchange(other.in_flight_, false)),
      head_seen_(other.head_seen_),
      on_trial_(other.on_trial_) {}

Load& Load::operator=(Load&& other) noexcept {
  if (this == &other) return *this;
  if (in_flight_) OnAbort(clock_());
  endpoint_ = std::move(other.endpoint_);
  started_ = other.started_;
  clock_ = other.clock_;
  in_flight_ = std::exchange(other.in_flight_, false);
  head_seen_ = other.head_seen_;
  on_trial_ = other.on_trial_;
  return *this;
}

Load::~Load() {
  if (in_flight_) OnAbort(clock_());
}

void Load::OnHead(io::Nanos now) {
  if (!in_flight_ || head_seen_) return;
  head_seen_ = true;
  --endpoint_->awaiting_head_;
  endpoint_->to_head_.Observe(now - started_, now);
}

void Load::OnDone(io::Nanos now, bool ok) {
  if (!in_flight_) return;
  if (ok) {
    OnHead(now);
    endpoint_->to_last_byte_.Observe(now - started_, now);
    endpoint_->ejection_.OnSuccess(started_);
  } else {
    CountAsSlow(now);
    endpoint_->ejection_.OnFailure(started_, now);
  }
  Settle();
}

void Load::OnAbort(io::Nanos now) {
  if (!in_flight_) return;
  CountAsSlow(now);
  Settle();
}

void Load::CountAsSlow(io::Nanos now) {
  const io::Nanos elapsed = now - started_;
  if (!head_seen_) {
    PeakEwma& to_head = endpoint_->to_head_;
    to_head.ObserveAtLeast(to_head.Known(now) ? elapsed : std::max(elapsed, kUnanswered), now);
  }
  // Where no response has ever ended, the time to the head stands in and must not be hidden.
  if (endpoint_->to_last_byte_.Known(now)) endpoint_->to_last_byte_.ObserveAtLeast(elapsed, now);
}

void Load::Settle() {
  in_flight_ = false;
  --endpoint_->in_flight_;
  if (!head_seen_) --endpoint_->awaiting_head_;
  endpoint_->started_sum_ -= static_cast<uint64_t>(started_);
  if (on_trial_) endpoint_->ejection_.OnTrialEnd();
}

}  // namespace weft::upstream
