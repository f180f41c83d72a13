// The version that every program of Weft reports.
#ifndef WEFT_BASE_VERSION_H_
#define WEFT_BASE_VERSION_H_

#include <string_view>

namespace weft {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace weft

#endif  // WEFT_BASE_VERSION_H_
