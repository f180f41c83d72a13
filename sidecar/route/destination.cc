#include "sidecar/route/destination.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::route {
namespace {

constexpr int kMaxRules = 256;
constexpr int kMaxMatches = 1024;  // of one rule
constexpr int kMaxBackends = 256;  // of one rule

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

size_t CountPatterns(const weft::v1::Destination& destination) {
  size_t count = 0;
  for (const weft::v1::Rule& rule : destination.rules()) {
    for (const weft::v1::HttpMatch& match : rule.matches()) {
      count += 1 + match.headers_size() + match.cookies_size();
    }
  }
  return count;
}

absl::StatusOr<absl::Duration> ParseTimeout(const google::protobuf::Duration& duration) {
  constexpr int64_t kMaxSeconds = 3600;
  if (duration.seconds() < 0 || duration.seconds() > kMaxSeconds || duration.nanos() < 0 ||
      duration.nanos() >= 1'000'000'000 || (duration.seconds() == 0 && duration.nanos() == 0)) {
    return Invalid("connect_timeout: ", duration.seconds(), " s ", duration.nanos(),
                   " ns is not between 1 ns and 1 h");
  }
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::StatusOr<Rule> CompileRule(const weft::v1::Rule& rule, PatternTable& patterns,
                                 std::vector<std::string>& endpoints) {
  if (rule.matches_size() > kMaxMatches) {
    return Invalid(".matches: ", rule.matches_size(), " of them, at most ", kMaxMatches);
  }
  if (rule.backends_size() > kMaxBackends) {
    return Invalid(".backends: ", rule.backends_size(), " of them, at most ", kMaxBackends);
  }
  Rule compiled;
  compiled.matches.reserve(rule.matches_size());
  for (int i = 0; i < rule.matches_size(); ++i) {
    absl::StatusOr<Match> match = Match::Compile(rule.matches(i), patterns);
    if (!match.ok()) {
      return Invalid(".matches[", i, "] (", rule.matches(i).group(), " ", rule.matches(i).name(),
                     ").", match.status().message());
    }
    compiled.matches.push_back(*std::move(match));
  }
  compiled.backends.reserve(rule.backends_size());
  for (int i = 0; i < rule.backends_size(); ++i) {
    const weft::v1::WeightedBackend& from = rule.backends(i);
    Backend backend{
        .service = from.service(), .endpoints = from.endpoints(), .weight = from.weight()};
    if (!backend.endpoints.empty()) {
      const auto known = std::ranges::find(endpoints, backend.endpoints);
      backend.endpoints_index = known - endpoints.begin();
      if (known == endpoints.end()) endpoints.push_back(backend.endpoints);
    }
    if (backend.Eligible()) {
      if (backend.weight > std::numeric_limits<uint64_t>::max() - compiled.eligible_weight) {
        return Invalid(".backends[", i, "].weight: the sum of the weights exceeds 2^64-1");
      }
      compiled.eligible_weight += backend.weight;
    }
    compiled.backends.push_back(std::move(backend));
  }
  return compiled;
}

// Exactly the last rule must apply to every request. An earlier one that did would hide the others;
// it is what a split with an empty route group would look like, and must not catch all traffic by
// accident.
absl::Status CheckOrder(const weft::v1::Destination& destination) {
  const int count = destination.rules_size();
  if (count == 0) return Invalid("rules: there are none");
  if (count > kMaxRules) return Invalid("rules: ", count, " of them, at most ", kMaxRules);
  for (int i = 0; i < count - 1; ++i) {
    if (destination.rules(i).matches().empty()) {
      return Invalid("rules[", i, "].matches: empty, so it applies to every request and rules[",
                     i + 1, "] never could");
    }
  }
  if (!destination.rules(count - 1).matches().empty()) {
    return Invalid("rules[", count - 1,
                   "].matches: the last rule must apply to every request, so it has none");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Destination>> Destination::Compile(
    std::string_view name, const weft::v1::Destination& destination) {
  const auto invalid = [&](absl::string_view what) {
    return Invalid("Destination ", ToAbsl(name), ": ", what);
  };
  if (!weft::v1::Protocol_IsValid(destination.protocol())) {
    return invalid(absl::StrCat("protocol: ", destination.protocol(), " is unknown"));
  }
  if (!weft::v1::LbMethod_IsValid(destination.lb_method())) {
    return invalid(absl::StrCat("lb_method: ", destination.lb_method(), " is unknown"));
  }
  if (destination.service_port() > 65535) {
    return invalid(absl::StrCat("service_port: ", destination.service_port(), " is no port"));
  }
  if (const absl::Status order = CheckOrder(destination); !order.ok()) {
    return invalid(order.message());
  }
  const std::shared_ptr<Destination> compiled(new Destination);
  compiled->name_ = name;
  compiled->protocol_ = destination.protocol();
  compiled->service_ = destination.service();
  compiled->service_port_ = destination.service_port();
  compiled->split_ = destination.split();
  compiled->lb_method_ = destination.lb_method();
  if (destination.has_connect_timeout()) {
    absl::StatusOr<absl::Duration> timeout = ParseTimeout(destination.connect_timeout());
    if (!timeout.ok()) return invalid(timeout.status().message());
    compiled->connect_timeout_ = *timeout;
  }
  PatternTable patterns(CountPatterns(destination));
  compiled->rules_.reserve(destination.rules_size());
  for (int i = 0; i < destination.rules_size(); ++i) {
    absl::StatusOr<Rule> rule = CompileRule(destination.rules(i), patterns, compiled->endpoints_);
    if (!rule.ok()) return invalid(absl::StrCat("rules[", i, "]", rule.status().message()));
    rule->index = i;
    compiled->rules_.push_back(*std::move(rule));
  }
  return compiled;
}

const Rule* Destination::Match(const RequestView& request) const {
  if (rules_.size() == 1) return &rules_.front();
  const std::string_view path = PathComponent(request.path);
  for (const Rule& rule : rules_) {
    if (rule.Applies(request, path)) return &rule;
  }
  return &rules_.back();
}

}  // namespace weft::route
