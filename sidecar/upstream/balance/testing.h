// Endpoint sets for tests, from short descriptions.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_TESTING_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_TESTING_H_

#include <string>

#include "sidecar/io/timer.h"
#include "weft/v1/discovery.pb.h"

namespace weft::upstream {

// The time as Load's destructor reads it in tests.
inline io::Nanos fake_now = io::kSecond;
inline io::Nanos FakeNow() { return fake_now; }

// Adds a meshed endpoint 10.0.0.<host>:8080 of the pod "pod-<host>".
inline weft::v1::Endpoint* AddEndpoint(weft::v1::Endpoints& endpoints, int host,
                                       weft::v1::Health health = weft::v1::HEALTH_READY) {
  weft::v1::Endpoint* endpoint = endpoints.add_endpoints();
  endpoint->set_address("10.0.0." + std::to_string(host));
  endpoint->set_port(8080);
  endpoint->set_meshed(true);
  endpoint->set_spiffe_id("spiffe://cluster.local/ns/shop/sa/tea");
  endpoint->set_namespace_("shop");
  endpoint->set_pod("pod-" + std::to_string(host));
  endpoint->set_health(health);
  return endpoint;
}

// Hosts 1 to `count`, all ready.
inline weft::v1::Endpoints ReadyEndpoints(int count) {
  weft::v1::Endpoints endpoints;
  for (int host = 1; host <= count; ++host) AddEndpoint(endpoints, host);
  return endpoints;
}

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_TESTING_H_
