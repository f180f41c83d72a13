// The validating webhook: TrafficSplit, HTTPRouteGroup, TCPRoute and MeshConfig as they are
// written.
#ifndef WEFT_INJECTOR_WEBHOOK_VALIDATE_H_
#define WEFT_INJECTOR_WEBHOOK_VALIDATE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "control-plane/store/object.h"
#include "injector/webhook/metrics.h"
#include "injector/webhook/review.h"

namespace weft::webhook {

// Fetches a Service as JSON. NotFound if there is none.
using ServiceLookup = std::function<absl::StatusOr<std::string>(const std::string& name_space,
                                                                const std::string& name)>;

// Thread-safe. Judges by the rules of the control plane's compiler: the object, with the services
// it names, is put into an index of its own and checked there, so that what is refused or warned of
// here is what the control plane would complain about.
//
// Refused is what can never mean anything, whatever else there is in the cluster. What is missing
// now may come later and is no matter of admission. An update that leaves `spec` as it was is never
// refused, lest an object that is older than the rules cannot even be labelled or deleted.
class Validator {
 public:
  // `services` may block; without an answer the checks that need it are left out.
  Validator(ServiceLookup services, Metrics& metrics)
      : services_(std::move(services)), metrics_(metrics) {}

  Answer Decide(const Review& review) const;

 private:
  Answer Check(const Review& review) const;
  // The services that the split names and pods as they select them.
  std::vector<store::Update> Surroundings(const store::Update& split) const;

  const ServiceLookup services_;
  Metrics& metrics_;
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_VALIDATE_H_
