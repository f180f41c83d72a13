// The URL of a request that meshctl is asked about.
#ifndef WEFT_TOOLS_MESHCTL_REQUEST_URL_H_
#define WEFT_TOOLS_MESHCTL_REQUEST_URL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::meshctl {

// "http://host:port/path?query", of which only the host is needed (RFC 3986; no user information).
struct RequestUrl {
  std::string host;  // without brackets
  uint32_t port = 80;
  std::string target = "/";  // path and query as they are sent
  std::string authority;     // host and port as they were written: the Host field
  bool tls = false;          // https: the application's own TLS, which nobody looks into

  // InvalidArgument says what is wrong.
  static absl::StatusOr<RequestUrl> Parse(std::string_view url);
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_REQUEST_URL_H_
