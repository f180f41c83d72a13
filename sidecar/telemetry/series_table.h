// Series by their labels.
#ifndef WEFT_SIDECAR_TELEMETRY_SERIES_TABLE_H_
#define WEFT_SIDECAR_TELEMETRY_SERIES_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sidecar/io/timer.h"
#include "sidecar/telemetry/series.h"
#include "sidecar/telemetry/shard_sample.h"

namespace weft::telemetry {

// What all that found no room is recorded under.
inline constexpr std::string_view kOverflow = "overflow";

// Looked up by views without allocation. `Labels` is RequestLabels or TcpLabels. One thread.
template <typename Labels, typename Series>
class SeriesTable {
 public:
  using Ref = internal::SeriesRef<Series>;

  SeriesTable(size_t max_series, io::Nanos idle_limit)
      : max_series_(max_series), idle_limit_(idle_limit) {}

  Ref Find(const Labels& labels) {
    const auto found = series_.find(labels);
    if (found != series_.end()) return found->second.series;
    if (series_.size() < max_series_) return Insert(labels);
    ++overflows_;
    // One per direction, beyond the limit.
    Labels overflow;
    overflow.reporter = labels.reporter;
    overflow.source.workload = overflow.destination.workload = kOverflow;
    const auto shared = series_.find(overflow);
    return shared != series_.end() ? shared->second.series : Insert(overflow);
  }

  // Appends a copy of each series, and retires those that nobody holds and that have been idle for
  // long: the previous copy showed them as they are now.
  template <typename Sample>
  void Collect(io::Nanos now, std::vector<Sample>& into) {
    into.reserve(into.size() + series_.size());
    for (auto at = series_.begin(); at != series_.end();) {
      const auto here = at++;
      Entry& entry = here->second;
      if (entry.series->TakeUsed()) entry.last_used = now;
      const bool retired = !entry.series.shared() && now - entry.last_used >= idle_limit_;
      into.push_back({entry.labels, entry.series->values(), retired});
      if (retired) series_.erase(here);  // the sample holds what the key points into
    }
  }

  size_t size() const { return series_.size(); }
  uint64_t overflows() const { return overflows_; }

 private:
  struct Entry {
    std::shared_ptr<const OwnedLabels> labels;
    Ref series;
    io::Nanos last_used;
  };

  Ref Insert(const Labels& labels) {
    auto owned = std::make_shared<const OwnedLabels>(labels);
    Ref series(new Series);
    series_.emplace(Key(*owned), Entry{owned, series, io::MonotonicNow()});
    return series;
  }

  static Labels Key(const OwnedLabels& labels) {
    if constexpr (std::is_same_v<Labels, RequestLabels>) {
      return labels.request();
    } else {
      return labels.tcp();
    }
  }

  const size_t max_series_;
  const io::Nanos idle_limit_;
  absl::flat_hash_map<Labels, Entry> series_;  // keys are views into Entry::labels
  uint64_t overflows_ = 0;
};

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_SERIES_TABLE_H_
