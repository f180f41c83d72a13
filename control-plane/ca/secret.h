// Bearer secrets: made of 256 random bits, compared without leaking where they differ.
#ifndef WEFT_CONTROL_PLANE_CA_SECRET_H_
#define WEFT_CONTROL_PLANE_CA_SECRET_H_

#include <string>
#include <string_view>

namespace weft::ca {

// `prefix` and 43 characters of base64url (RFC 4648 section 5) from 256 random bits.
std::string NewSecret(std::string_view prefix);

// SHA-256 in lower-case hexadecimal. Enough for a secret of full entropy, which nobody can guess
// from it.
std::string HashSecret(std::string_view secret);

// Equality in time that depends on the lengths only.
bool SecretsEqual(std::string_view a, std::string_view b);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_SECRET_H_
