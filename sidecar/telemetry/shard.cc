#include "sidecar/telemetry/shard.h"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sidecar/telemetry/series_table.h"
#include "sidecar/telemetry/shard_sample.h"

namespace weft::telemetry {
namespace {

using OwnLabels = std::vector<std::pair<std::string, std::string>>;

bool Same(const OwnLabels& own, std::initializer_list<Shard::Label> labels) {
  return std::ranges::equal(own, labels, [](const auto& a, const auto& b) {
    return a.first == b.first && a.second == b.second;
  });
}

}  // namespace

OwnedLabels::OwnedLabels(const RequestLabels& labels) : labels_(labels) {
  std::string_view* const fields[] = {&labels_.source.workload,
                                      &labels_.source.name_space,
                                      &labels_.source.principal,
                                      &labels_.destination.workload,
                                      &labels_.destination.name_space,
                                      &labels_.destination.principal,
                                      &labels_.service,
                                      &labels_.host,
                                      &labels_.response_flags,
                                      &labels_.grpc_response_status};
  size_t size = 0;
  for (const std::string_view* field : fields) size += field->size();
  text_.reserve(size);
  for (std::string_view* field : fields) {
    const size_t begin = text_.size();
    text_ += *field;
    *field = std::string_view(text_).substr(begin);
  }
}

class Shard::Tables {
 public:
  explicit Tables(const Options& options)
      : requests_(options.max_series, options.idle_limit),
        tcp_(options.max_series, options.idle_limit),
        max_named_(options.max_series) {}

  SeriesTable<RequestLabels, RequestSeries> requests_;
  SeriesTable<TcpLabels, TcpSeries> tcp_;

  template <typename Metric>
  struct Named {
    std::string_view name;
    std::string_view help;
    OwnLabels labels;
    Metric metric;
  };

  template <typename Metric>
  Metric* Find(std::deque<Named<Metric>>& all, std::string_view name, std::string_view help,
               std::initializer_list<Label> labels) {
    for (Named<Metric>& named : all) {
      if (named.name == name && Same(named.labels, labels)) return &named.metric;
    }
    OwnLabels own;
    own.reserve(labels.size());
    const bool full = all.size() >= max_named_;
    if (full) ++named_overflows_;
    for (const Label& label : labels) {
      own.emplace_back(label.first, full ? kOverflow : label.second);
    }
    if (full) {
      for (Named<Metric>& named : all) {
        if (named.name == name && named.labels == own) return &named.metric;
      }
    }
    all.push_back({name, help, std::move(own), Metric()});
    return &all.back().metric;
  }

  // Deques: pointers to their elements stay good.
  std::deque<Named<weft::telemetry::Counter>> counters_;
  std::deque<Named<weft::telemetry::Gauge>> gauges_;
  const size_t max_named_;
  uint64_t named_overflows_ = 0;
};

Shard::Shard(Options options) : tables_(std::make_unique<Tables>(options)) {}
Shard::~Shard() = default;

RequestSeriesRef Shard::Request(const RequestLabels& labels) {
  return tables_->requests_.Find(labels);
}

TcpSeriesRef Shard::Tcp(const TcpLabels& labels) { return tables_->tcp_.Find(labels); }

weft::telemetry::Counter* Shard::Counter(std::string_view name, std::string_view help,
                                         std::initializer_list<Label> labels) {
  return tables_->Find(tables_->counters_, name, help, labels);
}

weft::telemetry::Gauge* Shard::Gauge(std::string_view name, std::string_view help,
                                     std::initializer_list<Label> labels) {
  return tables_->Find(tables_->gauges_, name, help, labels);
}

void Shard::CountError(std::string_view weft_error_reason) {
  Counter("weft_errors_total",
          "Requests and connections that failed in the sidecar, by weft-error.",
          {{"reason", weft_error_reason}})
      ->Add();
}

std::unique_ptr<ShardSample> Shard::Collect(io::Nanos now) {
  auto sample = std::make_unique<ShardSample>();
  tables_->requests_.Collect(now, sample->requests);
  tables_->tcp_.Collect(now, sample->tcp);
  for (const auto& [name, help, labels, counter] : tables_->counters_) {
    sample->named.push_back({name, help, labels, false, static_cast<double>(counter.value())});
  }
  for (const auto& [name, help, labels, gauge] : tables_->gauges_) {
    sample->named.push_back({name, help, labels, true, static_cast<double>(gauge.value())});
  }
  sample->named.push_back(
      {"weft_telemetry_overflow_total",
       "Look-ups of metric series that found the limit reached and share one series.",
       {},
       false,
       static_cast<double>(tables_->requests_.overflows() + tables_->tcp_.overflows() +
                           tables_->named_overflows_)});
  sample->named.push_back({"weft_telemetry_series",
                           "Metric series of requests and TCP connections that are held.",
                           {},
                           true,
                           static_cast<double>(tables_->requests_.size() + tables_->tcp_.size())});
  return sample;
}

}  // namespace weft::telemetry
