// Why a TLS handshake of the mesh came to nothing: names for metrics and logs.
#ifndef WEFT_SIDECAR_TLS_REFUSAL_H_
#define WEFT_SIDECAR_TLS_REFUSAL_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace weft::tls {

// The names (RefusalName) are a contract: label `reason` of weft_tls_handshake_failures_total.
enum class Refusal : uint8_t {
  kBrokenOff,         // the peer ended the connection, or it was cut
  kTimeout,           // no answer in time
  kRefusedByPeer,     // the peer sent a fatal alert: its log knows more
  kMalformed,         // bytes that are no TLS, or break its rules
  kVersion,           // the peer offers nothing as new as TLS 1.3
  kProtocol,          // no application protocol in common (ALPN)
  kNoCertificate,     // the peer has none
  kUntrusted,         // the chain ends in no root of the mesh
  kSelfSigned,        // the peer's certificate vouches for itself
  kExpired,           // of the peer's chain, something is past its end
  kNotYetValid,       // of the peer's chain, something has not begun
  kWrongUsage,        // the certificate is for something else, or is a CA's
  kChainTooLong,      // more certificates than kMaxChain
  kBadCertificate,    // any other fault in the chain, such as a wrong signature
  kNoIdentity,        // no SPIFFE ID, or more than one
  kWrongTrustDomain,  // an identity of another mesh
  kWrongIdentity,     // not the identity that was expected
};

// Certificates of a peer's chain above the leaf, the root included.
inline constexpr int kMaxChain = 8;

// Such as "wrong-trust-domain".
std::string_view RefusalName(Refusal refusal);

// An error with its reason attached.
absl::Status Refused(Refusal refusal, std::string_view message);

// The name that Refused() attached; "" for any other status.
std::string_view RefusalOf(const absl::Status& status);

}  // namespace weft::tls

#endif  // WEFT_SIDECAR_TLS_REFUSAL_H_
