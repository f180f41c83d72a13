// The operator's credential: whoever may read STATE/operator-token may ask the inspect service.
#ifndef WEFT_CONTROL_PLANE_CA_OPERATOR_TOKEN_H_
#define WEFT_CONTROL_PLANE_CA_OPERATOR_TOKEN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "control-plane/ca/state_directory.h"

namespace weft::ca {

inline constexpr std::string_view kOperatorTokenFile = "operator-token";

inline constexpr size_t kMinOperatorTokenBytes = 32;

std::string NewOperatorToken();
// Whether it is long enough to be one.
bool IsOperatorToken(std::string_view text);

// Reads the token; NotFound if there is none, FailedPrecondition if the file is unusable.
absl::StatusOr<std::string> ReadOperatorToken(const StateDirectory& state);

// Reads the token, creating it (mode 0600) if there is none. An unusable file is FailedPrecondition
// with the remedy; it is never replaced.
absl::StatusOr<std::string> ReadOrCreateOperatorToken(const StateDirectory& state);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_OPERATOR_TOKEN_H_
