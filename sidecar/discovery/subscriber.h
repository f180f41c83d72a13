// Between the workers, which need configuration, and whoever gets it for them.
#ifndef WEFT_SIDECAR_DISCOVERY_SUBSCRIBER_H_
#define WEFT_SIDECAR_DISCOVERY_SUBSCRIBER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "sidecar/route/destination.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {

// What is known of a resource.
enum class Answer : uint8_t {
  kAsked,    // nothing yet: the control plane has not answered
  kPresent,  // it exists
  kAbsent,   // the control plane says that it does not: an address outside the mesh
};

// Resources that workers subscribe to one by one.
enum class OnDemand : uint8_t { kDestination, kEndpoints };

// A worker's side. Called on the worker's thread, in the order in which things happened.
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  // `destination` is null unless kPresent.
  virtual void OnDestination(const std::string& name, Answer answer,
                             std::shared_ptr<const route::Destination> destination) = 0;
  virtual void OnEndpoints(const std::string& name, Answer answer,
                           std::shared_ptr<const weft::v1::Endpoints> endpoints) = 0;
  virtual void OnWorkload(std::shared_ptr<const weft::v1::Workload> workload) = 0;
  virtual void OnSettings(std::shared_ptr<const weft::v1::MeshSettings> settings) = 0;
};

// The main reactor's side. Both may be called from any thread and take effect in the order in which
// one thread calls them.
class Broker {
 public:
  virtual ~Broker() = default;
  // Wants a resource: the answer comes to the subscriber, at once if it is known, and so does every
  // change.
  virtual void Subscribe(Subscriber* subscriber, OnDemand type, std::string name) = 0;
  // Wants it no longer. News that are already on their way may still come.
  virtual void Unsubscribe(Subscriber* subscriber, OnDemand type, std::string name) = 0;
  // How many destinations one worker may want at once, since the control plane bounds them per
  // sidecar. Fixed before workers run.
  virtual size_t DestinationsPerWorker() const { return std::numeric_limits<size_t>::max(); }
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_SUBSCRIBER_H_
