// EndpointConfig::SameEndpoint() for hash tables.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_KEY_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_KEY_H_

#include <utility>

#include "base/strings.h"
#include "sidecar/upstream/balance/endpoint_config.h"

namespace weft::upstream {

// Refers to a config, which outlives it.
class EndpointKey {
 public:
  explicit EndpointKey(const EndpointConfig& config) : config_(&config) {}

  bool operator==(const EndpointKey& other) const { return config_->SameEndpoint(*other.config_); }

  template <typename H>
  friend H AbslHashValue(H h, const EndpointKey& key) {
    return H::combine(std::move(h), key.config_->address, key.config_->meshed,
                      ToAbsl(key.config_->spiffe_id), ToAbsl(key.config_->pod));
  }

 private:
  const EndpointConfig* config_;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_KEY_H_
