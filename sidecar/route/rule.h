// A rule of a destination: which requests, and among which backends they are divided.
#ifndef WEFT_SIDECAR_ROUTE_RULE_H_
#define WEFT_SIDECAR_ROUTE_RULE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/route/match.h"
#include "sidecar/route/random.h"

namespace weft::route {

// One side of a split.
struct Backend {
  static constexpr size_t kNoEndpoints = static_cast<size_t>(-1);

  std::string service;  // "namespace/name"
  std::string
      endpoints;  // the Endpoints resource; empty: the service does not exist or lacks the port
  uint64_t weight = 0;  // a ratio
  // Position of `endpoints` in Destination::endpoints(), so that a worker finds the live endpoints
  // by a subscript; kNoEndpoints if there is no such resource.
  size_t endpoints_index = kNoEndpoints;

  // May be chosen at all.
  bool Eligible() const { return weight > 0 && endpoints_index != kNoEndpoints; }
};

// Immutable; any thread.
struct Rule {
  size_t index = 0;            // in Destination::rules()
  std::vector<Match> matches;  // ORed; empty: every request and every TCP connection
  std::vector<Backend> backends;
  uint64_t eligible_weight = 0;  // of the backends that may be chosen

  // The first match that applies, if one does. Not for rules without matches.
  std::optional<size_t> FirstMatch(const RequestView& request, std::string_view path) const {
    for (size_t i = 0; i < matches.size(); ++i) {
      if (matches[i].Applies(request, path)) return i;
    }
    return std::nullopt;
  }
  bool Applies(const RequestView& request, std::string_view path) const {
    return matches.empty() || FirstMatch(request, path).has_value();
  }
};

// Chooses by weight: each eligible backend with probability weight / sum of eligible weights, exact
// to 2^-64, for a uniform `random`. A backend with weight 0 or without an Endpoints resource is
// never chosen. Null if none is left: the request fails with 503.
const Backend* PickBackend(const Rule& rule, uint64_t random);

// The same among the backends for which `live(const Backend&)` holds (those with an endpoint to
// send to). Weights are ratios over the live ones: while one backend of a split is empty, the
// others share its part in their own ratio, and null (503) comes only when no backend with weight
// is live. Never falls back to a backend with weight 0 or to the root service. `live` is usually
// asked once.
template <typename Live>
const Backend* PickLiveBackend(const Rule& rule, Random& random, const Live& live) {
  // Choosing among all and, if that one is dead, again among the live gives each live backend w/T +
  // D/T * w/L = w/L, where T, D and L are the weights of all, the dead and the live.
  const Backend* first = PickBackend(rule, random());
  if (first == nullptr || live(*first)) return first;
  uint64_t live_weight = 0;
  for (const Backend& backend : rule.backends) {
    if (backend.Eligible() && live(backend)) live_weight += backend.weight;
  }
  if (live_weight == 0) return nullptr;
  uint64_t at = random.Below(live_weight);
  for (const Backend& backend : rule.backends) {
    if (!backend.Eligible() || !live(backend)) continue;
    if (at < backend.weight) return &backend;
    at -= backend.weight;
  }
  return nullptr;
}

// Why nothing could be picked from `rule`, for logs and for meshctl: "the rule has no backends",
// ...
std::string_view WhyNoBackend(const Rule& rule);

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_RULE_H_
