// The metrics of one thread.
#ifndef WEFT_SIDECAR_TELEMETRY_SHARD_H_
#define WEFT_SIDECAR_TELEMETRY_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

#include "sidecar/io/timer.h"
#include "sidecar/telemetry/labels.h"
#include "sidecar/telemetry/series.h"

namespace weft::telemetry {

// What a shard held at one moment, safe to hand to another thread.
struct ShardSample;

// Finding a series that exists allocates nothing; callers may keep the reference and skip even
// that. Single thread.
class Shard {
 public:
  struct Options {
    // Of requests, and as many of TCP and of our own. Beyond, everything is recorded in one series
    // whose labels say "overflow", so that sums stay true; weft_telemetry_overflow_total counts how
    // often. A request series takes some 50 lines of each scrape.
    size_t max_series = 1'000;
    // A series that nobody holds, unused for so long, and scraped since its last use, is forgotten.
    io::Nanos idle_limit = 600 * io::kSecond;
  };

  explicit Shard(Options options);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();

  // A reference stays good, and its series shown, for as long as somebody holds it.
  RequestSeriesRef Request(const RequestLabels& labels);
  TcpSeriesRef Tcp(const TcpLabels& labels);

  // Our own metrics. The same name and labels give the same object, which lives as long as the
  // shard; keep the pointer on hot paths. `name` and `help` are literals; every use of a name has
  // the same help and label names. Values over all shards are added up.
  using Label = std::pair<std::string_view, std::string_view>;
  weft::telemetry::Counter* Counter(std::string_view name, std::string_view help,
                                    std::initializer_list<Label> labels = {});
  weft::telemetry::Gauge* Gauge(std::string_view name, std::string_view help,
                                std::initializer_list<Label> labels = {});

  // A response or a connection that failed for a reason of ours: weft_errors_total{reason="..."}.
  void CountError(std::string_view weft_error_reason);

  // Copies the numbers and retires idle series.
  std::unique_ptr<ShardSample> Collect(io::Nanos now);

 private:
  class Tables;
  const std::unique_ptr<Tables> tables_;
};

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_SHARD_H_
