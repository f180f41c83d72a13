// Between std::string_view, which our interfaces use, and Debian's absl::string_view, its own type.
#ifndef WEFT_BASE_STRINGS_H_
#define WEFT_BASE_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace weft {

inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToStd(absl::string_view s) { return {s.data(), s.size()}; }

}  // namespace weft

#endif  // WEFT_BASE_STRINGS_H_
