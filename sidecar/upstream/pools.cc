#include "sidecar/upstream/pools.h"

#include <utility>

namespace weft::upstream {

H2Pool& Pools::Http2(Wire wire) {
  std::shared_ptr<H2Pool>& pool = wire == Wire::kMesh ? mesh_ : http2_;
  if (pool == nullptr) {
    H2PoolOptions options = options_->h2;
    // gRPC servers close connections on which they are pinged during a long silence.
    if (wire == Wire::kHttp2) {
      options.limits.ping_after = io::kNever;
    } else {
      options.limits.ping_after = options_->mesh_ping_after;
      options.limits.ping_timeout = options_->mesh_ping_timeout;
    }
    pool = std::make_shared<H2Pool>(
        wire == Wire::kMesh
            ? Connector::Mesh(address_, identity_, tls::kAlpnHttp, expected_identity_)
            : Connector::Plain(address_),
        options);
    if (retired_) pool->Retire();
  }
  return *pool;
}

io::Task<absl::StatusOr<Lease>> Pools::Acquire(Wire wire, Reuse reuse, io::Nanos deadline) {
  if (wire == Wire::kHttp1) {
    if (http1_ == nullptr) {
      http1_ = std::make_shared<H1Pool>(Connector::Plain(address_), options_->h1);
      if (retired_) http1_->Retire();
    }
    absl::StatusOr<H1Pool::Lease> lease = co_await http1_->Acquire(deadline, reuse);
    if (!lease.ok()) co_return lease.status();
    co_return Lease(*std::move(lease));
  }
  absl::StatusOr<std::unique_ptr<http::ClientExchange>> exchange =
      co_await Http2(wire).Acquire(deadline);
  if (!exchange.ok()) co_return exchange.status();
  co_return Lease(*std::move(exchange));
}

io::Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Pools::OpenTcp(bool mesh,
                                                                     io::Nanos deadline) {
  const Connector connector =
      mesh ? Connector::Mesh(address_, identity_, tls::kAlpnTcp, expected_identity_)
           : Connector::Plain(address_);
  co_return co_await connector.Open(deadline);
}

void Pools::Retire() {
  retired_ = true;
  if (mesh_ != nullptr) mesh_->Retire();
  if (http1_ != nullptr) http1_->Retire();
  if (http2_ != nullptr) http2_->Retire();
}

}  // namespace weft::upstream
