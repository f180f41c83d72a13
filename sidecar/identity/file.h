// Small files: tokens and trust bundles.
#ifndef WEFT_SIDECAR_IDENTITY_FILE_H_
#define WEFT_SIDECAR_IDENTITY_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace weft::identity {

// The whole file. Errors name the path: NotFound, InvalidArgument if it has more than `max_bytes`
// or is no file, Unavailable with the system's words.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace weft::identity

#endif  // WEFT_SIDECAR_IDENTITY_FILE_H_
