#include "control-plane/ca/pod_token.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace weft::ca {

bool IsJwt(std::string_view bearer) {
  size_t dots = 0;
  char previous = '.';
  for (const char c : bearer) {
    if (c == '.') {
      if (previous == '.') return false;
      ++dots;
    } else if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') {
      return false;
    }
    previous = c;
  }
  return dots == 2 && previous != '.';
}

}  // namespace weft::ca
