#include "sidecar/telemetry/telemetry.h"

#include <utility>

#include "sidecar/io/event.h"
#include "sidecar/telemetry/exposition.h"
#include "sidecar/telemetry/merge.h"
#include "sidecar/telemetry/shard_sample.h"

namespace weft::telemetry {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

// One scrape that waits for the threads.
struct Collection {
  std::vector<std::unique_ptr<ShardSample>> samples;
  io::Event answered;
};

MetricFamily OneValue(std::string name, std::string help, MetricType type, double value) {
  MetricFamily family{std::move(name), std::move(help), type, {}};
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  (type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = value;
  return family;
}

}  // namespace

struct Telemetry::Source {
  Source(io::Reactor* on, const Shard::Options& options) : reactor(on), shard(options) {}
  io::Reactor* const reactor;
  Shard shard;
};

Telemetry::Telemetry(Shard::Options options)
    : options_(options), merge_(std::make_shared<Merge>()) {}
Telemetry::~Telemetry() = default;

Shard* Telemetry::AddShard(io::Reactor* reactor) {
  sources_.push_back(std::make_unique<Source>(reactor, options_));
  return &sources_.back()->shard;
}

void Telemetry::AddCollector(Collector collector) { collectors_.push_back(std::move(collector)); }

io::Task<absl::StatusOr<std::string>> Telemetry::Scrape(io::Nanos deadline) {
  const auto collection = std::make_shared<Collection>();
  const size_t expected = sources_.size();
  io::Reactor* const here = io::Reactor::Current();
  for (const std::unique_ptr<Source>& source : sources_) {
    source->reactor->Post([source = source.get(), collection, merge = merge_, here] {
      std::shared_ptr<ShardSample> sample = source->shard.Collect(io::MonotonicNow());
      here->Post([sample, collection, merge] {
        merge->TakeRetired(*sample);
        collection->samples.push_back(std::make_unique<ShardSample>(std::move(*sample)));
        collection->answered.Notify();
      });
    });
  }
  while (collection->samples.size() < expected) {
    if (co_await io::Wait(collection->answered, deadline) == nullptr) {
      co_return absl::DeadlineExceededError("a worker did not give its metrics in time");
    }
  }
  std::vector<MetricFamily> others;
  for (const Collector& collector : collectors_) collector(others);
  co_return Expose(merge_->Sum(std::move(collection->samples)), others);
}

MetricFamily CounterFamily(std::string name, std::string help, double value) {
  return OneValue(std::move(name), std::move(help), MetricType::Counter, value);
}

MetricFamily GaugeFamily(std::string name, std::string help, double value) {
  return OneValue(std::move(name), std::move(help), MetricType::Gauge, value);
}

}  // namespace weft::telemetry
