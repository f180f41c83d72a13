#include "base/kubernetes/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::kubernetes {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::string> ReadCredentialFile(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string bytes(kMaxBytes + 1, '\0');
  if (in) in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in.is_open() || in.bad()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": cannot be read: ", errno != 0 ? std::strerror(errno) : "I/O error"));
  }
  bytes.resize(static_cast<size_t>(in.gcount()));
  if (bytes.size() > kMaxBytes) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is larger than 1 MiB"));
  }
  return bytes;
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadCredentialFile(path);
  if (!bytes.ok()) return bytes.status();
  std::string token(absl::StripAsciiWhitespace(*bytes));
  if (token.empty()) return absl::FailedPreconditionError(absl::StrCat(path, ": holds no token"));
  if (!std::ranges::all_of(token, [](unsigned char c) { return c > 0x20 && c < 0x7f; })) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a token"));
  }
  return token;
}

}  // namespace weft::kubernetes
