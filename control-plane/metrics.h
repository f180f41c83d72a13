// What the control plane counts: weft_control_plane_* in Prometheus' text format.
#ifndef WEFT_CONTROL_PLANE_METRICS_H_
#define WEFT_CONTROL_PLANE_METRICS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace weft {

// Thread-safe: every metric may be changed from every thread. Label values come from small fixed
// sets.
class Metrics {
 private:
  std::shared_ptr<prometheus::Registry> registry_;  // first: the metrics below live in it

 public:
  Metrics();

  // Everything, as "text/plain; version=0.0.4".
  std::string Text() const;

  // Responses sent, by resource type ("Destination").
  prometheus::Counter& Pushes(std::string_view type);
  // Responses that a sidecar refused.
  prometheus::Counter& Nacks(std::string_view type);
  // Streams refused or closed by us, by gRPC code ("PERMISSION_DENIED").
  prometheus::Counter& StreamsRefused(absl::StatusCode code);
  prometheus::Counter& CertificatesRefused(absl::StatusCode code);
  // Mistakes in the objects, by severity ("warning", "error").
  prometheus::Gauge& Findings(std::string_view severity);

  // From a change of the objects to a sidecar's acknowledgement of what it changed.
  void ObserveConvergence(absl::Duration duration);

  prometheus::Gauge& streams;
  prometheus::Gauge& subscriptions;
  prometheus::Counter& certificates_signed;
  prometheus::Gauge& source_errors;  // files or objects of the source that cannot be read now
  prometheus::Gauge& services;
  prometheus::Gauge& endpoints;

 private:
  prometheus::Family<prometheus::Counter>& pushes_;
  prometheus::Family<prometheus::Counter>& nacks_;
  prometheus::Family<prometheus::Counter>& streams_refused_;
  prometheus::Family<prometheus::Counter>& certificates_refused_;
  prometheus::Family<prometheus::Gauge>& findings_;
  prometheus::Histogram& convergence_;
};

}  // namespace weft

#endif  // WEFT_CONTROL_PLANE_METRICS_H_
