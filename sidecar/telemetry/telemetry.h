// The sidecar's metrics: Istio's standard request and TCP metrics, and our own weft_*.
//
// Every thread that records has a Shard and writes plain integers into it. A scrape posts to each
// thread, which copies its numbers; the main reactor adds them up and writes Prometheus' text
// format.
#ifndef WEFT_SIDECAR_TELEMETRY_TELEMETRY_H_
#define WEFT_SIDECAR_TELEMETRY_TELEMETRY_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "prometheus/metric_family.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/telemetry/shard.h"

namespace weft::telemetry {

class Merge;

// Main reactor only.
class Telemetry {
 public:
  // Appends families with current values; must not wait.
  using Collector = std::function<void(std::vector<prometheus::MetricFamily>&)>;

  explicit Telemetry(Shard::Options options = {});
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;
  ~Telemetry();

  // A shard for the thread of `reactor`, owned by this; before that thread runs. The main reactor
  // may have one too. Reactors and shards live until no scrape is under way.
  Shard* AddShard(io::Reactor* reactor);

  // Values that the main reactor holds anyway (certificates, discovery).
  void AddCollector(Collector collector);

  // All metrics in Prometheus' text format 0.0.4. DeadlineExceeded if a thread does not answer in
  // time.
  io::Task<absl::StatusOr<std::string>> Scrape(io::Nanos deadline);

 private:
  struct Source;
  const Shard::Options options_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Collector> collectors_;
  std::shared_ptr<Merge> merge_;
};

// A family with one value without labels; what collectors mostly append.
prometheus::MetricFamily CounterFamily(std::string name, std::string help, double value);
prometheus::MetricFamily GaugeFamily(std::string name, std::string help, double value);

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_TELEMETRY_H_
