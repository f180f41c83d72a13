// The identity of a workload: spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>.
// Source: the SPIFFE-ID specification (2.1-2.4) and the path layout that Istio made common.
#ifndef WEFT_BASE_SPIFFE_ID_H_
#define WEFT_BASE_SPIFFE_ID_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft {

// A value; safe to copy and to share between threads.
struct SpiffeId {
  std::string trust_domain;
  std::string name_space;
  std::string service_account;

  // Parses the URI. InvalidArgument says which part is wrong: scheme, trust domain (lower-case
  // letters, digits, '.', '-', '_'), path layout, or a segment that is no Kubernetes name. No
  // query, fragment, port or user information; at most 2048 bytes.
  static absl::StatusOr<SpiffeId> Parse(std::string_view uri);

  // The URI.
  std::string ToString() const;

  bool operator==(const SpiffeId&) const = default;
};

}  // namespace weft

#endif  // WEFT_BASE_SPIFFE_ID_H_
