// What the control plane says about the endpoints behind one port of a service.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_CONFIG_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_CONFIG_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "weft/v1/discovery.pb.h"

namespace weft::upstream {

struct EndpointConfig {
  io::Address address;
  bool meshed = false;    // has a sidecar that speaks mesh mTLS
  std::string spiffe_id;  // expected identity; empty if not meshed
  std::string name_space;
  std::string pod;
  std::string workload;
  std::string zone;
  weft::v1::Health health = weft::v1::HEALTH_READY;

  // Whether both mean the same pod, reached in the same way: connections and statistics may be
  // kept. Health, workload and zone may change meanwhile; an address that another pod inherited is
  // another endpoint.
  bool SameEndpoint(const EndpointConfig& other) const {
    return address == other.address && meshed == other.meshed && spiffe_id == other.spiffe_id &&
           pod == other.pod && name_space == other.name_space;
  }
};

// Compiled once, then shared by all workers.
using EndpointConfigs = std::shared_ptr<const std::vector<EndpointConfig>>;

// `name` is the resource's name, for messages. InvalidArgument names endpoint and field: an address
// that is none or that nobody can be connected to (unspecified, multicast), a port out of range, a
// meshed endpoint without a SPIFFE ID, an unknown health, more than 65,536 endpoints. An endpoint
// that comes twice (as Kubernetes slices may have it) is kept once, as it came first.
absl::StatusOr<EndpointConfigs> ParseEndpoints(std::string_view name,
                                               const weft::v1::Endpoints& endpoints);

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_CONFIG_H_
