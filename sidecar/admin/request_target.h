// What a request asks for, taken apart (RFC 9112 section 3.2).
#ifndef WEFT_SIDECAR_ADMIN_REQUEST_TARGET_H_
#define WEFT_SIDECAR_ADMIN_REQUEST_TARGET_H_

#include <map>
#include <string>
#include <string_view>

namespace weft::admin {

struct RequestTarget {
  std::string path;                          // percent-decoded, without the query
  std::map<std::string, std::string> query;  // decoded; of equal names the last
};

// Takes origin form and absolute form, which loses its scheme and authority. What is no
// percent-escape stays as it is.
RequestTarget ParseTarget(std::string_view target);

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_REQUEST_TARGET_H_
