// Adds the threads' numbers up.
#ifndef WEFT_SIDECAR_TELEMETRY_MERGE_H_
#define WEFT_SIDECAR_TELEMETRY_MERGE_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sidecar/telemetry/labels.h"
#include "sidecar/telemetry/series.h"
#include "sidecar/telemetry/shard_sample.h"

namespace weft::telemetry {

template <typename Values>
struct LabelledValues {
  std::shared_ptr<const OwnedLabels> labels;
  Values values;
};

// One scrape's totals.
struct Totals {
  std::vector<LabelledValues<RequestValues>> requests;
  std::vector<LabelledValues<TcpValues>> tcp;
  std::vector<NamedSample> named;
};

// Remembers what one thread has retired while another still counts under the same labels: a sum
// that went back would look to Prometheus like a restart. Main reactor only.
class Merge {
 public:
  // Every sample that a shard gave must come here once, also one that is too late to be shown.
  void TakeRetired(ShardSample& sample);

  Totals Sum(std::vector<std::unique_ptr<ShardSample>> samples);

 private:
  template <typename Labels, typename Values>
  using Map = absl::flat_hash_map<Labels, LabelledValues<Values>>;

  Map<RequestLabels, RequestValues> retired_requests_;
  Map<TcpLabels, TcpValues> retired_tcp_;
};

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_MERGE_H_
