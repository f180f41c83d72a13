// Small files of credentials.
#ifndef WEFT_BASE_KUBERNETES_FILE_H_
#define WEFT_BASE_KUBERNETES_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace weft::kubernetes {

// The whole file, at most 1 MiB. FailedPrecondition names the file and the reason.
absl::StatusOr<std::string> ReadCredentialFile(const std::string& path);

// The same for a token: without white space around it; FailedPrecondition if nothing is left or if
// it could not stand in a header.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_FILE_H_
