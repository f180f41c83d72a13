// What sidecars accept in one Destination. A split that asks for more is cut down here, with a
// finding, so that no sidecar has to refuse the whole.
#ifndef WEFT_CONTROL_PLANE_COMPILE_LIMITS_H_
#define WEFT_CONTROL_PLANE_COMPILE_LIMITS_H_

#include <cstddef>

namespace weft::compile {

inline constexpr int kMaxBackends = 256;     // of one split
inline constexpr size_t kMaxMatches = 1024;  // of one split, over all its route groups
inline constexpr size_t kMaxRegexes = 512;   // different ones in one split
inline constexpr int kMaxConditions = 64;    // methods, headers or cookies of one match

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_LIMITS_H_
