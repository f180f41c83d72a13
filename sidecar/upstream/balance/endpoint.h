// One address that a service can be reached at, as one worker sees it.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "sidecar/io/timer.h"
#include "sidecar/route/random.h"
#include "sidecar/upstream/balance/ejection.h"
#include "sidecar/upstream/balance/endpoint_config.h"
#include "sidecar/upstream/balance/peak_ewma.h"
#include "weft/v1/discovery.pb.h"

namespace weft::upstream {

// What another module keeps with an endpoint (its connection pool). Destroyed with the endpoint,
// when the last reference is gone; so it must not hold an EndpointRef of its own beyond Retire().
class EndpointAttachment {
 public:
  virtual ~EndpointAttachment() = default;
  // The endpoint has left the configuration: finish what runs, start nothing new. Called once.
  virtual void Retire() = 0;
};

// Its identity is EndpointConfig::SameEndpoint(). Lives while its EndpointSet lists it or an
// EndpointRef (a request in flight) refers to it. One thread.
class Endpoint {
 public:
  explicit Endpoint(std::shared_ptr<const EndpointConfig> config) : config_(std::move(config)) {}
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // Views into it are good until the set is next updated; keep shared_config() to have them longer.
  const EndpointConfig& config() const { return *config_; }
  const std::shared_ptr<const EndpointConfig>& shared_config() const { return config_; }

  // Left the set; takes no new requests.
  bool retired() const { return retired_; }

  // Null until Attach().
  EndpointAttachment* attachment() const { return attachment_.get(); }
  // Once per endpoint. Retires the attachment at once if the endpoint is.
  void Attach(std::unique_ptr<EndpointAttachment> attachment);

  // Requests that have begun and not ended.
  uint32_t in_flight() const { return in_flight_; }
  // Estimates in nanoseconds, 0 if nothing is known.
  double time_to_head(io::Nanos now) const { return to_head_.At(now); }
  double time_to_last_byte(io::Nanos now) const { return to_last_byte_.At(now); }
  const Ejection& ejection() const { return ejection_; }

  // One that joins others gets its share of requests by and by, over so long: its caches and its
  // code are cold.
  static constexpr io::Nanos kWarmUp = 10 * io::kSecond;
  // Whether it is warm enough for this request: a tenth of the time at first, always at last.
  bool Warm(io::Nanos now, route::Random& random) const {
    const io::Nanos age = now - joined_;
    if (age >= kWarmUp) return true;
    return random.Below(kWarmUp) < static_cast<uint64_t>(std::max(age, kWarmUp / 10));
  }

  // What one more request would cost by a method that measures time; lower is better. It is the
  // estimated time times the requests that would then share the endpoint. Of an endpoint of which
  // nothing is known it is least while none of its requests awaits an answer, and greater than any
  // other while one does: it is tried at once, but by one request at a time.
  double Cost(weft::v1::LbMethod method, io::Nanos now) const;

 private:
  friend class EndpointRef;
  friend class EndpointSet;
  friend class Load;

  double ExpectedTime(weft::v1::LbMethod method, io::Nanos now) const;
  void Retire();

  std::shared_ptr<const EndpointConfig> config_;
  uint32_t references_ = 0;
  uint32_t in_flight_ = 0;
  uint32_t awaiting_head_ = 0;  // of those in flight, without a response head so far
  uint64_t started_sum_ = 0;    // start times of those in flight, modulo 2^64
  PeakEwma to_head_;
  PeakEwma to_last_byte_;
  Ejection ejection_;
  io::Nanos joined_ = -kWarmUp;
  bool retired_ = false;
  std::unique_ptr<EndpointAttachment> attachment_;
};

// Keeps an endpoint alive. A counted pointer of one thread: copying it costs an addition.
class EndpointRef {
 public:
  EndpointRef() = default;
  explicit EndpointRef(Endpoint* endpoint) : endpoint_(endpoint) {
    if (endpoint_ != nullptr) ++endpoint_->references_;
  }
  EndpointRef(const EndpointRef& other) : EndpointRef(other.endpoint_) {}
  EndpointRef(EndpointRef&& other) noexcept : endpoint_(std::exchange(other.endpoint_, nullptr)) {}
  EndpointRef& operator=(EndpointRef other) noexcept {
    std::swap(endpoint_, other.endpoint_);
    return *this;
  }
  ~EndpointRef() {
    if (endpoint_ != nullptr && --endpoint_->references_ == 0) delete endpoint_;
  }

  Endpoint* get() const { return endpoint_; }
  Endpoint* operator->() const { return endpoint_; }
  Endpoint& operator*() const { return *endpoint_; }
  explicit operator bool() const { return endpoint_ != nullptr; }

 private:
  Endpoint* endpoint_ = nullptr;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_H_
