// What is recorded into: plain integers of one thread.
#ifndef WEFT_SIDECAR_TELEMETRY_SERIES_H_
#define WEFT_SIDECAR_TELEMETRY_SERIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "sidecar/io/timer.h"

namespace weft::telemetry {

// Only grows.
class Counter {
 public:
  void Add(uint64_t n = 1) { value_ += n; }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

// Goes up and down.
class Gauge {
 public:
  void Set(int64_t value) { value_ = value; }
  void Add(int64_t n) { value_ += n; }
  int64_t value() const { return value_; }

 private:
  int64_t value_ = 0;
};

// Upper bounds, inclusive, as Envoy's and Istio's defaults have them for times; the last bucket has
// none.
inline constexpr std::array<double, 19> kMillisecondBounds = {
    0.5,  1,    5,      10,     25,     50,      100,     250,       500,      1000,
    2500, 5000, 10'000, 30'000, 60'000, 300'000, 600'000, 1'800'000, 3'600'000};
inline constexpr std::array<double, 12> kByteBounds = {
    64,      256,       1024,      4096,       16'384,      65'536,
    262'144, 1'048'576, 4'194'304, 16'777'216, 268'435'456, 1'073'741'824};

// Counts per bucket (not cumulative) and the sum.
template <size_t kBounds>
struct Histogram {
  std::array<uint64_t, kBounds + 1> buckets{};
  double sum = 0;

  void Record(double value, const std::array<double, kBounds>& bounds) {
    size_t i = 0;
    while (i < kBounds && value > bounds[i]) ++i;
    ++buckets[i];
    sum += value;
  }
  void Merge(const Histogram& other) {
    for (size_t i = 0; i <= kBounds; ++i) buckets[i] += other.buckets[i];
    sum += other.sum;
  }
};

struct RequestValues {
  uint64_t requests = 0;
  Histogram<kMillisecondBounds.size()> duration;
  Histogram<kByteBounds.size()> request_bytes;
  Histogram<kByteBounds.size()> response_bytes;

  void Merge(const RequestValues& other) {
    requests += other.requests;
    duration.Merge(other.duration);
    request_bytes.Merge(other.request_bytes);
    response_bytes.Merge(other.response_bytes);
  }
};

struct TcpValues {
  uint64_t opened = 0;
  uint64_t closed = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;

  void Merge(const TcpValues& other) {
    opened += other.opened;
    closed += other.closed;
    sent_bytes += other.sent_bytes;
    received_bytes += other.received_bytes;
  }
};

namespace internal {

template <typename Series>
class SeriesRef;

// Counted without atomics: the shard's table holds one reference, callers the others.
class SeriesBase {
 public:
  SeriesBase() = default;
  SeriesBase(const SeriesBase&) = delete;
  SeriesBase& operator=(const SeriesBase&) = delete;

  // True if it was recorded into since the last call.
  bool TakeUsed() { return std::exchange(used_, false); }

 protected:
  ~SeriesBase() = default;
  bool used_ = false;

 private:
  template <typename Series>
  friend class SeriesRef;
  uint32_t references_ = 0;
};

template <typename Series>
class SeriesRef {
 public:
  SeriesRef() = default;
  explicit SeriesRef(Series* series) : series_(series) {
    if (series_ != nullptr) ++series_->references_;
  }
  SeriesRef(const SeriesRef& other) : SeriesRef(other.series_) {}
  SeriesRef(SeriesRef&& other) noexcept : series_(std::exchange(other.series_, nullptr)) {}
  SeriesRef& operator=(SeriesRef other) noexcept {
    std::swap(series_, other.series_);
    return *this;
  }
  ~SeriesRef() {
    if (series_ != nullptr && --series_->references_ == 0) delete series_;
  }

  // Others hold it too.
  bool shared() const { return series_ != nullptr && series_->references_ > 1; }
  Series* get() const { return series_; }
  Series* operator->() const { return series_; }
  Series& operator*() const { return *series_; }
  explicit operator bool() const { return series_ != nullptr; }

 private:
  Series* series_ = nullptr;
};

}  // namespace internal

// istio_requests_total, istio_request_duration_milliseconds, istio_request_bytes,
// istio_response_bytes with one set of labels.
class RequestSeries final : public internal::SeriesBase {
 public:
  // One finished request. Bytes are those of the bodies.
  void Record(io::Nanos duration, uint64_t request_bytes, uint64_t response_bytes) {
    used_ = true;
    ++values_.requests;
    values_.duration.Record(static_cast<double>(duration) / 1e6, kMillisecondBounds);
    values_.request_bytes.Record(static_cast<double>(request_bytes), kByteBounds);
    values_.response_bytes.Record(static_cast<double>(response_bytes), kByteBounds);
  }
  const RequestValues& values() const { return values_; }

 private:
  RequestValues values_;
};

// istio_tcp_connections_opened_total, ..._closed_total, istio_tcp_sent_bytes_total (from the
// destination to the source, as in Istio: what the response carries),
// istio_tcp_received_bytes_total.
class TcpSeries final : public internal::SeriesBase {
 public:
  void Opened() {
    used_ = true;
    ++values_.opened;
  }
  void Closed() {
    used_ = true;
    ++values_.closed;
  }
  // May be called while the connection lasts, with what was added since the last call.
  void Sent(uint64_t bytes) {
    used_ = true;
    values_.sent_bytes += bytes;
  }
  void Received(uint64_t bytes) {
    used_ = true;
    values_.received_bytes += bytes;
  }
  const TcpValues& values() const { return values_; }

 private:
  TcpValues values_;
};

using RequestSeriesRef = internal::SeriesRef<RequestSeries>;
using TcpSeriesRef = internal::SeriesRef<TcpSeries>;

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_SERIES_H_
