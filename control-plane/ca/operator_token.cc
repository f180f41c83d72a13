#include "control-plane/ca/operator_token.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control-plane/ca/secret.h"

namespace weft::ca {
namespace {

constexpr std::string_view kPrefix = "weft-operator-";
constexpr size_t kMaxBytes = 1024;

}  // namespace

std::string NewOperatorToken() { return NewSecret(kPrefix); }

bool IsOperatorToken(std::string_view text) { return text.size() >= kMinOperatorTokenBytes; }

absl::StatusOr<std::string> ReadOperatorToken(const StateDirectory& state) {
  absl::StatusOr<std::string> token = state.ReadSecret(kOperatorTokenFile, kMaxBytes);
  if (!token.ok()) return token.status();
  absl::StripAsciiWhitespace(&*token);
  if (!IsOperatorToken(*token)) {
    return absl::FailedPreconditionError(absl::StrCat(
        state.PathOf(kOperatorTokenFile), " holds no token of at least ", kMinOperatorTokenBytes,
        " characters: restore it, or move it away and start the control plane to get a new one"));
  }
  return token;
}

absl::StatusOr<std::string> ReadOrCreateOperatorToken(const StateDirectory& state) {
  absl::StatusOr<std::string> token = ReadOperatorToken(state);
  if (!absl::IsNotFound(token.status())) return token;
  const absl::Status created =
      state.Create(kOperatorTokenFile, absl::StrCat(NewOperatorToken(), "\n"), 0600);
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  return ReadOperatorToken(state);
}

}  // namespace weft::ca
