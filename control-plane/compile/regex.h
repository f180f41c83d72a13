// Regular expressions as users write them into HTTPRouteGroups.
#ifndef WEFT_CONTROL_PLANE_COMPILE_REGEX_H_
#define WEFT_CONTROL_PLANE_COMPILE_REGEX_H_

#include <optional>
#include <string>
#include <string_view>

namespace weft::compile {

// Why sidecars cannot use the expression: no RE2 syntax, or too large (4096 characters, and a bound
// on the compiled program, since every sidecar that dials the service holds it). nullopt if they
// can.
std::optional<std::string> RegexError(std::string_view regex);

// An expression for the Cookie header that says less than it seems to: "version=beta" matches
// anywhere in the header, so also "xversion=beta" and "version=beta2".
struct CookieTrap {
  std::string name, value;   // the cookie it speaks of
  std::string also_matches;  // a header without that cookie that it matches too
};

// nullopt if there is no such trap, or none that we recognize.
std::optional<CookieTrap> FindCookieTrap(std::string_view regex);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_REGEX_H_
