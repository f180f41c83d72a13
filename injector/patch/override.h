// What pods may decide for themselves by annotation, on top of the settings.
#ifndef WEFT_INJECTOR_PATCH_OVERRIDE_H_
#define WEFT_INJECTOR_PATCH_OVERRIDE_H_

#include <string>
#include <vector>

#include "injector/patch/pod.h"
#include "injector/patch/settings.h"

namespace weft::inject {

// An annotation that cannot be obeyed.
struct OverrideError {
  std::string field;    // "metadata.annotations[config.weft.io/sidecar-cpu-request]"
  std::string message;  // "expected a quantity such as 100m or 64Mi, got \"lots\""
};

// Changes the settings as the pod's "config.weft.io/" annotations say. Annotations that the control
// plane acts upon (mtls-mode, opaque-ports, client-max-body-size) are checked, and what is wrong
// with them is a warning, as is an annotation of the family that does not exist.
std::optional<OverrideError> ApplyOverrides(const Json& pod, Settings& settings,
                                            std::vector<std::string>& warnings);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_OVERRIDE_H_
