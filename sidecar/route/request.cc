#include "sidecar/route/request.h"

#include <algorithm>

namespace weft::route {
namespace {

// RFC 3986 section 3.1.
bool IsScheme(std::string_view s) {
  const auto is_alpha = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !s.empty() && is_alpha(s.front()) && std::ranges::all_of(s, [&](char c) {
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

std::string_view PathComponent(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (target.starts_with('/')) return target;
  constexpr std::string_view kSeparator = "://";
  const size_t scheme_end = target.find(kSeparator);
  if (scheme_end == std::string_view::npos || !IsScheme(target.substr(0, scheme_end))) {
    return target;
  }
  const size_t path = target.find('/', scheme_end + kSeparator.size());
  return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace weft::route
