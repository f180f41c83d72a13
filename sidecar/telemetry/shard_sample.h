// Copies of a shard's numbers, on their way to the scrape.
#ifndef WEFT_SIDECAR_TELEMETRY_SHARD_SAMPLE_H_
#define WEFT_SIDECAR_TELEMETRY_SHARD_SAMPLE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/telemetry/labels.h"
#include "sidecar/telemetry/series.h"

namespace weft::telemetry {

// Labels with memory of their own. Immutable and shared between threads.
class OwnedLabels {
 public:
  explicit OwnedLabels(const RequestLabels& labels);
  explicit OwnedLabels(const TcpLabels& labels) : OwnedLabels(AsRequest(labels)) {}
  OwnedLabels(const OwnedLabels&) = delete;
  OwnedLabels& operator=(const OwnedLabels&) = delete;

  // The views point into this object.
  const RequestLabels& request() const { return labels_; }
  TcpLabels tcp() const { return TcpLabels{labels_}; }

 private:
  static RequestLabels AsRequest(const TcpLabels& labels) {
    RequestLabels request;
    static_cast<HopLabels&>(request) = labels;
    return request;
  }

  std::string text_;
  RequestLabels labels_;
};

// One of our own metrics.
struct NamedSample {
  std::string_view name;  // literals
  std::string_view help;
  std::vector<std::pair<std::string, std::string>> labels;
  bool gauge = false;
  double value = 0;
};

struct ShardSample {
  struct Request {
    std::shared_ptr<const OwnedLabels> labels;
    RequestValues values;
    bool retired;  // the shard has forgotten it
  };
  struct Tcp {
    std::shared_ptr<const OwnedLabels> labels;
    TcpValues values;
    bool retired;
  };

  std::vector<Request> requests;
  std::vector<Tcp> tcp;
  std::vector<NamedSample> named;
};

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_SHARD_SAMPLE_H_
