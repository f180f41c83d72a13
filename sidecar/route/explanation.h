// Why a request went where it went, for people.
#ifndef WEFT_SIDECAR_ROUTE_EXPLANATION_H_
#define WEFT_SIDECAR_ROUTE_EXPLANATION_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/route/rule.h"

namespace weft::route {

// What became of one match.
struct MatchVerdict {
  std::string group;  // HTTPRouteGroup, "namespace/name"
  std::string name;   // of the match in it
  bool applies = false;
  // The first condition that failed: `header "cookie" is "version=alpha", which "version=beta" does
  // not match`. Values are shortened and escaped. Empty if the match applies.
  std::string reason;
};

// What became of one rule. Matches after the one that applies were not looked at and are not
// listed.
struct RuleVerdict {
  size_t index = 0;
  bool applies = false;
  std::vector<MatchVerdict> matches;  // empty: the rule applies to every request
};

struct Explanation {
  const Rule* rule = nullptr;      // into the Destination; as Match() returns it
  std::optional<size_t> match;     // which of rule->matches decided; nothing: the rule has none
  std::vector<RuleVerdict> rules;  // in order, the last one is the one that decided
};

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_EXPLANATION_H_
