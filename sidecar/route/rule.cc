#include "sidecar/route/rule.h"

#include <algorithm>

namespace weft::route {

const Backend* PickBackend(const Rule& rule, uint64_t random) {
  if (rule.eligible_weight == 0) return nullptr;
  uint64_t at = Scale(random, rule.eligible_weight);
  for (const Backend& backend : rule.backends) {
    if (!backend.Eligible()) continue;
    if (at < backend.weight) return &backend;
    at -= backend.weight;
  }
  return nullptr;
}

std::string_view WhyNoBackend(const Rule& rule) {
  if (rule.backends.empty()) return "the rule has no backends";
  if (std::ranges::all_of(rule.backends, [](const Backend& b) { return b.weight == 0; })) {
    return "all backends have weight 0";
  }
  if (rule.eligible_weight == 0) {
    return "no backend with a weight exists and has the port";
  }
  return "no backend with a weight has a live endpoint";
}

}  // namespace weft::route
