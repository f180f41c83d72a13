#include "control-plane/ca/secret.h"

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "openssl/mem.h"
#include "openssl/rand.h"
#include "openssl/sha.h"

namespace weft::ca {

std::string NewSecret(std::string_view prefix) {
  std::array<uint8_t, 32> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  return absl::StrCat(ToAbsl(prefix),
                      absl::WebSafeBase64Escape(absl::string_view(
                          reinterpret_cast<const char*>(bytes.data()), bytes.size())));
}

std::string HashSecret(std::string_view secret) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const uint8_t*>(secret.data()), secret.size(), digest.data());
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

bool SecretsEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace weft::ca
