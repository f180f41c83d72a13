// Totals in Prometheus' text format.
#ifndef WEFT_SIDECAR_TELEMETRY_EXPOSITION_H_
#define WEFT_SIDECAR_TELEMETRY_EXPOSITION_H_

#include <string>
#include <vector>

#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"
#include "sidecar/telemetry/merge.h"

namespace weft::telemetry {

// Istio's labels for one hop ("Istio Standard Metrics"), in a fixed order.
std::vector<prometheus::ClientMetric::Label> StandardLabels(const RequestLabels& labels, bool tcp);

// Text format 0.0.4: the standard metrics, our own, then `others`.
std::string Expose(const Totals& totals, const std::vector<prometheus::MetricFamily>& others);

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_EXPOSITION_H_
