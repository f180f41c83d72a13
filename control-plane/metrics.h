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
  // When a certificate of the CA ends, in seconds since the epoch: "root" (the first of those that
  // are trusted), "signer".
  prometheus::Gauge& CertificateNotAfter(std::string_view certificate);
  // 1 for the phase in which the rotation of the root is, 0 for the others.
  prometheus::Gauge& RotationPhase(std::string_view phase);
  // Statuses of objects in the cluster, by result ("written", "failed"), and their events (also
  // "dropped").
  prometheus::Counter& StatusWrites(std::string_view result);
  prometheus::Counter& Events(std::string_view result);
  // Mistakes in the objects, by severity ("warning", "error").
  prometheus::Gauge& Findings(std::string_view severity);

  // How the API server is followed, by kind of object ("Pod").
  prometheus::Counter& SourceLists(std::string_view kind);
  prometheus::Counter& SourceWatches(std::string_view kind);
  prometheus::Counter& SourceFailures(std::string_view kind, absl::StatusCode code);
  prometheus::Counter& SourceRejected(std::string_view kind);  // objects that cannot be used
  prometheus::Gauge& SourceUpToDate(std::string_view kind);    // Unix time of the last news

  // From a change of the objects to a sidecar's acknowledgement of what it changed.
  void ObserveConvergence(absl::Duration duration);

  prometheus::Gauge& leader;  // 1: this replica does what only one may do
  prometheus::Gauge& streams;
  prometheus::Gauge& subscriptions;
  prometheus::Counter& certificates_signed;
  prometheus::Gauge& ca_usable;      // 0: its source is broken, the last good state goes on
  prometheus::Gauge& source_errors;  // files or objects of the source that cannot be read now
  prometheus::Gauge& services;
  prometheus::Gauge& endpoints;

 private:
  prometheus::Family<prometheus::Counter>& pushes_;
  prometheus::Family<prometheus::Counter>& nacks_;
  prometheus::Family<prometheus::Counter>& streams_refused_;
  prometheus::Family<prometheus::Counter>& certificates_refused_;
  prometheus::Family<prometheus::Counter>& status_writes_;
  prometheus::Family<prometheus::Counter>& events_;
  prometheus::Family<prometheus::Gauge>& findings_;
  prometheus::Family<prometheus::Counter>& source_lists_;
  prometheus::Family<prometheus::Counter>& source_watches_;
  prometheus::Family<prometheus::Counter>& source_failures_;
  prometheus::Family<prometheus::Counter>& source_rejected_;
  prometheus::Family<prometheus::Gauge>& source_up_to_date_;
  prometheus::Family<prometheus::Gauge>& certificate_not_after_;
  prometheus::Family<prometheus::Gauge>& rotation_phase_;
  prometheus::Histogram& convergence_;
};

}  // namespace weft

#endif  // WEFT_CONTROL_PLANE_METRICS_H_
