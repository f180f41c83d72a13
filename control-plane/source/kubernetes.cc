#include "control-plane/source/kubernetes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace weft::source {
namespace {

using weft::v1::Finding;

// Shorter interruptions are everyday: watches end and are begun again.
constexpr absl::Duration kTolerance = absl::Seconds(5);

Finding Forbidden(const KubernetesResource& resource, const absl::Status& status) {
  Finding finding;
  finding.set_severity(Finding::ERROR);
  finding.set_object(resource.FullName());
  finding.set_reason("SourceForbidden");
  finding.set_message(std::string(status.message()));
  finding.set_remedy(absl::StrCat("allow the control plane's service account to list and watch ",
                                  resource.FullName(), " in all namespaces"));
  return finding;
}

Finding Unavailable(const std::vector<std::string>& resources, absl::Time since,
                    const absl::Status& status) {
  Finding finding;
  finding.set_severity(Finding::ERROR);
  finding.set_object("Kubernetes API");
  finding.set_reason("SourceUnavailable");
  finding.set_message(absl::StrCat(absl::StrJoin(resources, ", "), " cannot be followed since ",
                                   absl::FormatTime(absl::RFC3339_sec, since, absl::UTCTimeZone()),
                                   ": ", status.message()));
  finding.set_remedy(
      "see that the API server can be reached; until then the mesh keeps what it has");
  return finding;
}

}  // namespace

KubernetesSource::KubernetesSource(kubernetes::Client& client, Sink sink, Metrics& metrics,
                                   const KubernetesTiming& timing) {
  for (const KubernetesResource& resource : KubernetesResources()) {
    reflectors_.push_back(
        std::make_unique<KubernetesReflector>(client, resource, timing, sink, metrics));
  }
}

KubernetesSource::~KubernetesSource() {
  for (const auto& reflector : reflectors_) reflector->Stop();
}

std::vector<std::string> KubernetesSource::Missing() const {
  std::vector<std::string> missing;
  for (const auto& reflector : reflectors_) {
    if (!reflector->Settled()) missing.push_back(reflector->resource().FullName());
  }
  return missing;
}

std::vector<Finding> KubernetesSource::Findings() const {
  std::vector<Finding> findings;
  std::vector<std::string> unavailable;
  absl::Time unavailable_since = absl::InfiniteFuture();
  absl::Status last;
  for (const auto& reflector : reflectors_) {
    absl::Time since;
    const absl::Status trouble = reflector->Trouble(since);
    if (absl::IsPermissionDenied(trouble)) {
      findings.push_back(Forbidden(reflector->resource(), trouble));
    } else if (!trouble.ok() && absl::Now() - since >= kTolerance) {
      unavailable.push_back(reflector->resource().FullName());
      unavailable_since = std::min(unavailable_since, since);
      last = trouble;
    }
  }
  if (!unavailable.empty()) {
    findings.push_back(Unavailable(unavailable, unavailable_since, last));
  }
  for (const auto& reflector : reflectors_) {
    std::vector<Finding> of_objects = reflector->ObjectFindings();
    findings.insert(findings.end(), of_objects.begin(), of_objects.end());
  }
  return findings;
}

}  // namespace weft::source
