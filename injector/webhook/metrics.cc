#include "injector/webhook/metrics.h"

#include "base/version.h"
#include "prometheus/text_serializer.h"

namespace weft::webhook {
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
      in_flight(Gauge(*registry_, "weft_injector_reviews_in_flight",
                      "Admission reviews that are being answered.")),
      overloaded(Counters(*registry_, "weft_injector_overloaded_total",
                          "Reviews that got 503, since too many were being answered.")
                     .Add({})),
      certificate_expiry(Gauge(*registry_, "weft_injector_certificate_expiry_timestamp_seconds",
                               "When the serving certificate ends; 0 before there is one.")),
      settings_invalid(Gauge(*registry_, "weft_injector_settings_invalid",
                             "1 while the settings file cannot be used and the last good settings "
                             "stay in force.")),
      pods_(Counters(*registry_, "weft_injector_pods_total",
                     "Pods reviewed, by verdict and its reason.")),
      objects_(Counters(*registry_, "weft_injector_objects_total",
                        "Objects of the mesh reviewed, by kind and result.")),
      malformed_(Counters(*registry_, "weft_injector_malformed_total",
                          "Requests that were no admission reviews, by webhook.")),
      namespace_lookups_(Counters(*registry_, "weft_injector_namespace_lookups_total",
                                  "Lookups of a pod's namespace, by where they ended.")),
      renewals_(Counters(*registry_, "weft_injector_certificate_renewals_total",
                         "Attempts to get a serving certificate, by result.")),
      ca_bundle_writes_(Counters(*registry_, "weft_injector_ca_bundle_writes_total",
                                 "Writes of caBundle into webhook configurations, by result.")),
      review_seconds_(prometheus::BuildHistogram()
                          .Name("weft_injector_review_seconds")
                          .Help("Time to answer an admission review, by webhook.")
                          .Register(*registry_)) {
  prometheus::BuildGauge()
      .Name("weft_injector_build_info")
      .Help("Always 1; the version is the label.")
      .Register(*registry_)
      .Add({{"version", std::string(kVersion)}})
      .Set(1);
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

prometheus::Counter& Metrics::Pods(std::string_view verdict, std::string_view reason) {
  return pods_.Add({{"verdict", std::string(verdict)}, {"reason", std::string(reason)}});
}

prometheus::Counter& Metrics::Objects(std::string_view kind, std::string_view result) {
  return objects_.Add({{"kind", std::string(kind)}, {"result", std::string(result)}});
}

prometheus::Counter& Metrics::Malformed(std::string_view webhook) {
  return malformed_.Add({{"webhook", std::string(webhook)}});
}

prometheus::Counter& Metrics::NamespaceLookups(std::string_view result) {
  return namespace_lookups_.Add({{"result", std::string(result)}});
}

prometheus::Counter& Metrics::Renewals(std::string_view result) {
  return renewals_.Add({{"result", std::string(result)}});
}

prometheus::Counter& Metrics::CaBundleWrites(std::string_view result) {
  return ca_bundle_writes_.Add({{"result", std::string(result)}});
}

void Metrics::ObserveReview(std::string_view webhook, absl::Duration duration) {
  review_seconds_
      .Add({{"webhook", std::string(webhook)}},
           prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25, 0.5, 1, 2.5, 5, 10})
      .Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace weft::webhook
