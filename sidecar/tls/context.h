// What a TLS endpoint of the mesh is and trusts.
#ifndef WEFT_SIDECAR_TLS_CONTEXT_H_
#define WEFT_SIDECAR_TLS_CONTEXT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "openssl/ssl.h"

namespace weft::tls {

// Between sidecars (DESIGN section 3).
inline constexpr std::string_view kAlpnHttp = "weft/h2";
inline constexpr std::string_view kAlpnTcp = "weft/tcp";

// A certificate with its key, and the roots that peers must chain to.
struct Credentials {
  std::vector<std::string> chain_pem;  // leaf first; empty for a client that has no certificate yet
  bssl::UniquePtr<EVP_PKEY> key;
  std::vector<std::string> roots_pem;
  std::string trust_domain;  // a peer's SPIFFE ID must be of it
};

// TLS settings shared by many connections: TLS 1.3 only, mutual verification, no session tickets
// (every connection proves its identity anew). Immutable and thread-safe.
class Context {
 public:
  // InvalidArgument says which certificate or key is bad.
  static absl::StatusOr<std::shared_ptr<const Context>> Create(const Credentials& credentials);

  // For a client of the application's own TLS that takes whatever certificate it is shown, as a
  // kubelet's probes do: no mesh, no identity, TLS 1.2 and later.
  static std::shared_ptr<const Context> CreateUnverifying();

  SSL_CTX* ssl_ctx() const { return ctx_.get(); }
  const std::string& trust_domain() const { return trust_domain_; }
  bool verifies() const { return verifies_; }

 private:
  Context() = default;

  bssl::UniquePtr<SSL_CTX> ctx_;
  std::string trust_domain_;
  bool verifies_ = true;
};

}  // namespace weft::tls

#endif  // WEFT_SIDECAR_TLS_CONTEXT_H_
