// An exchange with an upstream, from whichever pool.
#ifndef WEFT_SIDECAR_UPSTREAM_LEASE_H_
#define WEFT_SIDECAR_UPSTREAM_LEASE_H_

#include <memory>
#include <optional>
#include <utility>

#include "sidecar/http/message.h"
#include "sidecar/upstream/h1_pool.h"

namespace weft::upstream {

// How HTTP reaches an address.
enum class Wire : uint8_t {
  kMesh,   // HTTP/2 over mutual TLS, between sidecars
  kHttp1,  // plaintext HTTP/1.1
  kHttp2,  // plaintext HTTP/2 with prior knowledge
};

// Owns the exchange; destroying it before the exchange is complete breaks the exchange off.
class Lease {
 public:
  explicit Lease(H1Pool::Lease lease) : h1_(std::move(lease)) {}
  explicit Lease(std::unique_ptr<http::ClientExchange> exchange) : h2_(std::move(exchange)) {}

  http::ClientExchange* operator->() const { return get(); }
  http::ClientExchange& operator*() const { return *get(); }

 private:
  http::ClientExchange* get() const {
    return h1_.has_value() ? static_cast<http::ClientExchange*>(h1_->connection()) : h2_.get();
  }

  std::optional<H1Pool::Lease> h1_;
  std::unique_ptr<http::ClientExchange> h2_;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_LEASE_H_
