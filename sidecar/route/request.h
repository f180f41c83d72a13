// What the rules of a destination look at in a request.
#ifndef WEFT_SIDECAR_ROUTE_REQUEST_H_
#define WEFT_SIDECAR_ROUTE_REQUEST_H_

#include <string_view>

#include "sidecar/http/headers.h"

namespace weft::route {

// Views only; whatever they point into outlives it.
struct RequestView {
  std::string_view method;
  std::string_view path;  // the request target as it came, with its query
  const http::Headers& headers;
};

// The path component of a request target, as it came: without the query, and for a target in
// absolute form
// ("http://tea.1/x?y", RFC 9112 section 3.2.2) without scheme and authority; then an empty path is
// "/" (RFC 9110 section 4.2.3). Percent-encoding and dot segments stay as the client wrote them.
std::string_view PathComponent(std::string_view target);

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_REQUEST_H_
