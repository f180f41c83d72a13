// The connections of one worker to one endpoint.
#ifndef WEFT_SIDECAR_UPSTREAM_POOLS_H_
#define WEFT_SIDECAR_UPSTREAM_POOLS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"
#include "sidecar/upstream/balance/endpoint.h"
#include "sidecar/upstream/h1_pool.h"
#include "sidecar/upstream/h2_pool.h"
#include "sidecar/upstream/lease.h"

namespace weft::upstream {

struct PoolOptions {
  H1PoolOptions h1;
  H2PoolOptions h2;
  // An endpoint whose packets get lost is given up after both, since requests wait for it. Only
  // while there are some is it asked.
  io::Nanos mesh_ping_after = 2 * io::kSecond;
  io::Nanos mesh_ping_timeout = 3 * io::kSecond;
};

// One pool per wire, made when it is first needed. One thread.
class Pools final : public EndpointAttachment {
 public:
  // `identity` and `options` outlive this. `expected_identity` is the SPIFFE ID of the peer; only
  // for kMesh.
  Pools(const io::Address& address, std::string_view expected_identity,
        const IdentitySlot* identity, const PoolOptions* options)
      : address_(address),
        expected_identity_(expected_identity),
        identity_(identity),
        options_(options) {}

  // An exchange. `reuse` is about HTTP/1.
  io::Task<absl::StatusOr<Lease>> Acquire(Wire wire, Reuse reuse, io::Nanos deadline);

  // A connection for opaque bytes: in the mesh's tunnel, or plaintext.
  io::Task<absl::StatusOr<std::unique_ptr<io::Stream>>> OpenTcp(bool mesh, io::Nanos deadline);

  void Retire() override;

 private:
  H2Pool& Http2(Wire wire);

  const io::Address address_;
  const std::string expected_identity_;
  const IdentitySlot* const identity_;
  const PoolOptions* const options_;
  std::shared_ptr<H2Pool> mesh_;
  std::shared_ptr<H1Pool> http1_;
  std::shared_ptr<H2Pool> http2_;
  bool retired_ = false;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_POOLS_H_
