// Kubernetes resource quantities: "100m", "64Mi", "1.5", "2e3".
#ifndef WEFT_INJECTOR_PATCH_QUANTITY_H_
#define WEFT_INJECTOR_PATCH_QUANTITY_H_

#include <optional>
#include <string_view>

namespace weft::inject {

// The quantity as a number of its base unit (cores, bytes), exact enough to compare two of them.
// nullopt if it is malformed or negative.
std::optional<double> ParseQuantity(std::string_view text);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_QUANTITY_H_
