// What the injector counts: weft_injector_* in Prometheus' text format.
#ifndef WEFT_INJECTOR_WEBHOOK_METRICS_H_
#define WEFT_INJECTOR_WEBHOOK_METRICS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace weft::webhook {

// Thread-safe: every metric may be changed from every thread. Label values come from small fixed
// sets.
class Metrics {
 private:
  std::shared_ptr<prometheus::Registry> registry_;  // first: the metrics below live in it

 public:
  Metrics();

  // Everything, as "text/plain; version=0.0.4".
  std::string Text() const;

  // Pods looked at, by what became of them ("inject", "skip", "refuse") and why ("host-network").
  prometheus::Counter& Pods(std::string_view verdict, std::string_view reason);
  // Objects of the mesh looked at, by kind and result ("allowed", "denied").
  prometheus::Counter& Objects(std::string_view kind, std::string_view result);
  // Requests that are no admission reviews, by webhook ("mutate", "validate").
  prometheus::Counter& Malformed(std::string_view webhook);
  // How namespaces were looked up: "watch", "get", "missing", "failed".
  prometheus::Counter& NamespaceLookups(std::string_view result);
  // "ok", "failed".
  prometheus::Counter& Renewals(std::string_view result);
  prometheus::Counter& CaBundleWrites(std::string_view result);

  void ObserveReview(std::string_view webhook, absl::Duration duration);

  prometheus::Gauge& in_flight;           // reviews
  prometheus::Counter& overloaded;        // reviews that found no place in time
  prometheus::Gauge& certificate_expiry;  // seconds since 1970; 0: none yet
  prometheus::Gauge& settings_invalid;    // 1 while the settings file cannot be used

 private:
  prometheus::Family<prometheus::Counter>& pods_;
  prometheus::Family<prometheus::Counter>& objects_;
  prometheus::Family<prometheus::Counter>& malformed_;
  prometheus::Family<prometheus::Counter>& namespace_lookups_;
  prometheus::Family<prometheus::Counter>& renewals_;
  prometheus::Family<prometheus::Counter>& ca_bundle_writes_;
  prometheus::Family<prometheus::Histogram>& review_seconds_;
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_METRICS_H_
