#include "control-plane/metrics.h"

#include "absl/strings/string_view.h"
#include "base/version.h"
#include "prometheus/text_serializer.h"

namespace weft {
namespace {

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      leader(Gauge(*registry_, "weft_control_plane_leader",
                   "1: this replica does what only one may do (status, events, rotation).")),
      streams(Gauge(*registry_, "weft_control_plane_streams", "Connected discovery streams.")),
      subscriptions(Gauge(*registry_, "weft_control_plane_subscriptions",
                          "Resources subscribed to, summed over streams.")),
      certificates_signed(Counters(*registry_, "weft_control_plane_certificates_signed_total",
                                   "Workload certificates issued.")
                              .Add({})),
      ca_usable(Gauge(*registry_, "weft_control_plane_ca_usable",
                      "1: the CA's source can be used; 0: the last good state goes on.")),
      source_errors(Gauge(*registry_, "weft_control_plane_source_errors",
                          "Files or objects of the source that cannot be read now.")),
      services(Gauge(*registry_, "weft_control_plane_services", "Services of the mesh.")),
      endpoints(Gauge(*registry_, "weft_control_plane_endpoints",
                      "Ready endpoints, summed over services.")),
      pushes_(Counters(*registry_, "weft_control_plane_pushes_total",
                       "Discovery responses sent, by resource type.")),
      nacks_(Counters(*registry_, "weft_control_plane_nacks_total",
                      "Discovery responses that a sidecar refused, by resource type.")),
      streams_refused_(
          Counters(*registry_, "weft_control_plane_streams_refused_total",
                   "Discovery streams refused or closed by the control plane, by code.")),
      certificates_refused_(Counters(*registry_, "weft_control_plane_certificates_refused_total",
                                     "Requests for certificates refused, by code.")),
      status_writes_(Counters(*registry_, "weft_control_plane_status_writes_total",
                              "Statuses of objects in the cluster, by result.")),
      events_(Counters(*registry_, "weft_control_plane_events_total",
                       "Events about objects in the cluster, by result.")),
      findings_(prometheus::BuildGauge()
                    .Name("weft_control_plane_findings")
                    .Help("Mistakes in the objects, by severity.")
                    .Register(*registry_)),
      source_lists_(Counters(*registry_, "weft_control_plane_source_lists_total",
                             "Complete lists read from the API server, by kind of object.")),
      source_watches_(Counters(*registry_, "weft_control_plane_source_watches_total",
                               "Watches begun at the API server, by kind of object.")),
      source_failures_(Counters(*registry_, "weft_control_plane_source_failures_total",
                                "Lists and watches that failed, by kind of object and by code.")),
      source_rejected_(Counters(*registry_, "weft_control_plane_source_rejected_total",
                                "Objects of the API server that cannot be used, by kind.")),
      source_up_to_date_(
          prometheus::BuildGauge()
              .Name("weft_control_plane_source_up_to_date_timestamp_seconds")
              .Help("When the API server was last heard of, by kind of object; Unix time.")
              .Register(*registry_)),
      certificate_not_after_(
          prometheus::BuildGauge()
              .Name("weft_control_plane_ca_not_after_seconds")
              .Help("When a certificate of the CA ends, in seconds since the epoch.")
              .Register(*registry_)),
      rotation_phase_(prometheus::BuildGauge()
                          .Name("weft_control_plane_ca_rotation_phase")
                          .Help("1 for the phase of the root's rotation, 0 for the others.")
                          .Register(*registry_)),
      convergence_(prometheus::BuildHistogram()
                       .Name("weft_control_plane_convergence_seconds")
                       .Help("From a change of the objects to a sidecar's acknowledgement of it.")
                       .Register(*registry_)
                       .Add({}, prometheus::Histogram::BucketBoundaries{
                                    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})) {
  prometheus::BuildGauge()
      .Name("weft_control_plane_build_info")
      .Help("Always 1; the version is the label.")
      .Register(*registry_)
      .Add({{"version", std::string(kVersion)}})
      .Set(1);
  Findings("warning");
  Findings("error");
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

prometheus::Counter& Metrics::Pushes(std::string_view type) {
  return pushes_.Add({{"type", std::string(type)}});
}

prometheus::Counter& Metrics::Nacks(std::string_view type) {
  return nacks_.Add({{"type", std::string(type)}});
}

prometheus::Counter& Metrics::StreamsRefused(absl::StatusCode code) {
  return streams_refused_.Add({{"code", absl::StatusCodeToString(code)}});
}

prometheus::Counter& Metrics::CertificatesRefused(absl::StatusCode code) {
  return certificates_refused_.Add({{"code", absl::StatusCodeToString(code)}});
}

prometheus::Counter& Metrics::StatusWrites(std::string_view result) {
  return status_writes_.Add({{"result", std::string(result)}});
}

prometheus::Counter& Metrics::Events(std::string_view result) {
  return events_.Add({{"result", std::string(result)}});
}

prometheus::Gauge& Metrics::Findings(std::string_view severity) {
  return findings_.Add({{"severity", std::string(severity)}});
}

prometheus::Gauge& Metrics::CertificateNotAfter(std::string_view certificate) {
  return certificate_not_after_.Add({{"certificate", std::string(certificate)}});
}

prometheus::Gauge& Metrics::RotationPhase(std::string_view phase) {
  return rotation_phase_.Add({{"phase", std::string(phase)}});
}

prometheus::Counter& Metrics::SourceLists(std::string_view kind) {
  return source_lists_.Add({{"kind", std::string(kind)}});
}

prometheus::Counter& Metrics::SourceWatches(std::string_view kind) {
  return source_watches_.Add({{"kind", std::string(kind)}});
}

prometheus::Counter& Metrics::SourceFailures(std::string_view kind, absl::StatusCode code) {
  return source_failures_.Add(
      {{"kind", std::string(kind)}, {"code", absl::StatusCodeToString(code)}});
}

prometheus::Counter& Metrics::SourceRejected(std::string_view kind) {
  return source_rejected_.Add({{"kind", std::string(kind)}});
}

prometheus::Gauge& Metrics::SourceUpToDate(std::string_view kind) {
  return source_up_to_date_.Add({{"kind", std::string(kind)}});
}

void Metrics::ObserveConvergence(absl::Duration duration) {
  convergence_.Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace weft
