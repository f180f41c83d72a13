#include "sidecar/upstream/balance/endpoint.h"

#include <algorithm>

namespace weft::upstream {
namespace {

// Nanoseconds; above any real cost.
constexpr double kUnknownAndBusy = 1e24;

}  // namespace

void Endpoint::Attach(std::unique_ptr<EndpointAttachment> attachment) {
  attachment_ = std::move(attachment);
  if (retired_) attachment_->Retire();
}

void Endpoint::Retire() {
  retired_ = true;
  if (attachment_ != nullptr) attachment_->Retire();
}

double Endpoint::ExpectedTime(weft::v1::LbMethod method, io::Nanos now) const {
  const double to_head = to_head_.At(now);
  switch (method) {
    case weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE:
    case weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE: {
      // While no response has ended (they may be endless streams), its beginning is all there is to
      // go by.
      const double to_last_byte = to_last_byte_.At(now);
      return to_last_byte > 0 ? to_last_byte : to_head;
    }
    case weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT: {
      const double to_last_byte = to_last_byte_.At(now);
      const double finished = to_last_byte > 0 ? to_last_byte : to_head;
      if (in_flight_ == 0) return finished;
      // What runs has taken this long on average and is not done: evidence too, once it exceeds the
      // rest. The sum of ages fits 64 bits though the sum of start times does not.
      const uint64_t ages = in_flight_ * static_cast<uint64_t>(now) - started_sum_;
      return std::max(finished, static_cast<double>(ages) / in_flight_);
    }
    default:
      return to_head;
  }
}

double Endpoint::Cost(weft::v1::LbMethod method, io::Nanos now) const {
  const double expected = ExpectedTime(method, now);
  if (expected > 0) return expected * (in_flight_ + 1.0);
  return awaiting_head_ == 0 ? in_flight_ : kUnknownAndBusy * (in_flight_ + 1.0);
}

}  // namespace weft::upstream
