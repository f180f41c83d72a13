// The cookies of a request, one by one.
#ifndef WEFT_SIDECAR_ROUTE_COOKIES_H_
#define WEFT_SIDECAR_ROUTE_COOKIES_H_

#include <string_view>

#include "sidecar/http/headers.h"

namespace weft::route {

// Calls `visit(name, value)` for each "name=value" of a Cookie field (RFC 6265 section 4.2.1) until
// it returns true; returns whether it did. Leniently, as servers do: any white space around names
// and values is dropped, a pair without "=" is skipped, quotes belong to the value and do not
// protect a ";".
template <typename Visit>
bool AnyCookieInField(std::string_view field, const Visit& visit) {
  constexpr std::string_view kSpace = " \t";
  const auto trim = [&](std::string_view s) {
    const size_t first = s.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return std::string_view();
    return s.substr(first, s.find_last_not_of(kSpace) - first + 1);
  };
  while (!field.empty()) {
    const size_t semicolon = field.find(';');
    const std::string_view pair = field.substr(0, semicolon);
    field.remove_prefix(semicolon == std::string_view::npos ? field.size() : semicolon + 1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    if (visit(trim(pair.substr(0, equals)), trim(pair.substr(equals + 1)))) return true;
  }
  return false;
}

// The same over all Cookie fields of a request (HTTP/2 may split them, RFC 9113 section 8.2.3).
template <typename Visit>
bool AnyCookie(const http::Headers& headers, const Visit& visit) {
  for (const http::Headers::Field field : headers) {
    if (http::NamesEqual(field.name, "cookie") && AnyCookieInField(field.value, visit)) return true;
  }
  return false;
}

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_COOKIES_H_
