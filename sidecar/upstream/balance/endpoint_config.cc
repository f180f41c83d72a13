#include "sidecar/upstream/balance/endpoint_config.h"

#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/spiffe_id.h"
#include "base/strings.h"
#include "sidecar/upstream/balance/endpoint_key.h"

namespace weft::upstream {
namespace {

constexpr int kMaxEndpoints = 65'536;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Connecting to 0.0.0.0 would reach the sidecar's own host, and a multicast address nobody.
bool IsUnicast(const io::Address& address) {
  if (address.is_ipv6()) {
    const in6_addr& ip = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
    return !IN6_IS_ADDR_UNSPECIFIED(&ip) && !IN6_IS_ADDR_MULTICAST(&ip);
  }
  const uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr);
  return (ip >> 24) != 0 && (ip >> 28) != 0xe && ip != INADDR_BROADCAST;
}

absl::StatusOr<EndpointConfig> ParseEndpoint(const weft::v1::Endpoint& endpoint) {
  if (endpoint.port() == 0 || endpoint.port() > 65'535) {
    return Invalid("port: ", endpoint.port(), " is not between 1 and 65535");
  }
  const absl::StatusOr<io::Address> address =
      io::Address::FromIp(endpoint.address(), static_cast<uint16_t>(endpoint.port()));
  if (!address.ok()) return Invalid("address: ", address.status().message());
  if (!IsUnicast(*address)) {
    return Invalid("address: \"", endpoint.address(), "\" is no address of one host");
  }
  if (endpoint.meshed()) {
    if (const auto id = SpiffeId::Parse(endpoint.spiffe_id()); !id.ok()) {
      return Invalid("spiffe_id: ", id.status().message());
    }
  }
  if (!weft::v1::Health_IsValid(endpoint.health())) {
    return Invalid("health: ", endpoint.health(), " is unknown");
  }
  return EndpointConfig{.address = *address,
                        .meshed = endpoint.meshed(),
                        .spiffe_id = endpoint.spiffe_id(),
                        .name_space = endpoint.namespace_(),
                        .pod = endpoint.pod(),
                        .workload = endpoint.workload(),
                        .zone = endpoint.zone(),
                        .health = endpoint.health()};
}

}  // namespace

absl::StatusOr<EndpointConfigs> ParseEndpoints(std::string_view name,
                                               const weft::v1::Endpoints& endpoints) {
  const int count = endpoints.endpoints_size();
  if (count > kMaxEndpoints) {
    return Invalid("Endpoints ", ToAbsl(name), ": endpoints: ", count, " of them, at most ",
                   kMaxEndpoints);
  }
  auto configs = std::make_shared<std::vector<EndpointConfig>>();
  // The set's keys look into the elements, which therefore must not move.
  configs->reserve(count);
  absl::flat_hash_set<EndpointKey> seen;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<EndpointConfig> config = ParseEndpoint(endpoints.endpoints(i));
    if (!config.ok()) {
      return Invalid("Endpoints ", ToAbsl(name), ": endpoints[", i, "].",
                     config.status().message());
    }
    configs->push_back(*std::move(config));
    if (!seen.insert(EndpointKey(configs->back())).second) configs->pop_back();
  }
  return configs;
}

}  // namespace weft::upstream
