// How connections to one address are opened.
#ifndef WEFT_SIDECAR_UPSTREAM_CONNECTOR_H_
#define WEFT_SIDECAR_UPSTREAM_CONNECTOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"
#include "sidecar/tls/context.h"

namespace weft::upstream {

// The worker's own certificate and roots, replaced in place at every renewal. Null until the first
// one.
struct IdentitySlot {
  std::shared_ptr<const tls::Context> context;
};

// Opens connections in plaintext, or with the mesh's mutual TLS to a peer that must have the
// expected identity. A value; one thread. Errors: as io::Connect and tls::Connect;
// FailedPrecondition when mutual TLS is wanted and there is no certificate yet.
class Connector {
 public:
  static Connector Plain(const io::Address& address) { return Connector(address, nullptr, "", ""); }
  // `identity` must outlive the connector. `alpn` is tls::kAlpnHttp or tls::kAlpnTcp.
  static Connector Mesh(const io::Address& address, const IdentitySlot* identity,
                        std::string_view alpn, std::string_view expected_identity) {
    return Connector(address, identity, alpn, expected_identity);
  }

  // Opens one connection within the deadline.
  io::Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Open(io::Nanos deadline) const;

  bool mesh() const { return identity_ != nullptr; }
  const io::Address& address() const { return address_; }
  // The certificate that a mesh connection opened now would show; what an older one shows is
  // outdated.
  std::shared_ptr<const tls::Context> identity() const { return identity_->context; }
  const tls::Context* current_identity() const {
    return identity_ == nullptr ? nullptr : identity_->context.get();
  }

 private:
  Connector(const io::Address& address, const IdentitySlot* identity, std::string_view alpn,
            std::string_view expected_identity)
      : address_(address),
        identity_(identity),
        alpn_(alpn),
        expected_identity_(expected_identity) {}

  io::Address address_;
  const IdentitySlot* identity_;
  std::string alpn_;
  std::string expected_identity_;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_CONNECTOR_H_
