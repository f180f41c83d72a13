// One match of an HTTPRouteGroup: conditions on a request, all of which must hold.
#ifndef WEFT_SIDECAR_ROUTE_MATCH_H_
#define WEFT_SIDECAR_ROUTE_MATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "sidecar/route/pattern.h"
#include "sidecar/route/request.h"
#include "weft/v1/discovery.pb.h"

namespace weft::route {

// Patterns of one destination, each compiled once however often it occurs. Used while compiling.
class PatternTable {
 public:
  // `conditions` is how many patterns may come at most; the memory for regular expressions is
  // divided by it.
  explicit PatternTable(size_t conditions);

  absl::StatusOr<std::shared_ptr<const Pattern>> Get(const std::string& regex, Anchor anchor);

 private:
  const int64_t max_memory_bytes_;
  size_t regexes_ = 0;
  absl::flat_hash_map<std::pair<std::string, Anchor>, std::shared_ptr<const Pattern>> patterns_;
};

// Immutable; any thread. Semantics (DESIGN section 3, SMI Traffic Specs v1alpha4):
// - methods: exact; none given, or "*" among them: any.
// - path: from the start of the path component (PathComponent()), the query does not belong to it.
// - headers: the name in any case; a field that the request lacks matches nothing, not even ".*";
// repeated
//   fields are matched joined by ", " (`cookie` by "; ").
// - cookies: the name exactly; if the cookie comes more than once, one that matches suffices.
class Match {
 public:
  enum class Condition : uint8_t { kMethod, kPath, kHeader, kCookie };
  struct Failure {
    Condition condition;
    size_t index;  // among the headers or cookies
  };
  struct ValueCondition {
    std::string name;
    std::string regex;
    std::shared_ptr<const Pattern> pattern;
  };

  // InvalidArgument names the field.
  static absl::StatusOr<Match> Compile(const weft::v1::HttpMatch& match, PatternTable& patterns);

  // The first condition that does not hold, in the order methods, path, headers, cookies; nothing
  // if all hold. `path` is PathComponent(request.path), for the caller to compute once.
  std::optional<Failure> FirstFailure(const RequestView& request, std::string_view path) const;

  bool Applies(const RequestView& request, std::string_view path) const {
    return !FirstFailure(request, path).has_value();
  }

  const std::string& group() const { return group_; }
  const std::string& name() const { return name_; }
  const std::vector<std::string>& methods() const { return methods_; }  // empty: any
  const std::string& path_regex() const { return path_regex_; }
  const std::vector<ValueCondition>& headers() const { return headers_; }  // names in lower case
  const std::vector<ValueCondition>& cookies() const { return cookies_; }

 private:
  std::string group_;
  std::string name_;
  std::vector<std::string> methods_;
  std::string path_regex_;
  std::shared_ptr<const Pattern> path_;  // null: any
  std::vector<ValueCondition> headers_;
  std::vector<ValueCondition> cookies_;
};

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_MATCH_H_
