// Moving what one side sends to the other.
#ifndef WEFT_SIDECAR_PROXY_RELAY_H_
#define WEFT_SIDECAR_PROXY_RELAY_H_

#include <cstdint>

#include "sidecar/http/message.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"

namespace weft::proxy {

// How a relay of a body ended.
enum class BodyOutcome : uint8_t {
  kComplete,
  kSourceFailed,  // the sender broke off
  kSinkFailed,    // the receiver does not take any more
  kTooLarge,      // more than `max_bytes`
  kStopped,       // `*stop` was set
  kIdle,          // nothing moved for `idle`
};

struct BodyLimits {
  uint64_t max_bytes = UINT64_MAX;
  io::Nanos idle;
  // Set by another coroutine, which then notifies from.readable() and to.writable(). May be null.
  const bool* stop = nullptr;
  // When something last moved. Two directions that share it are idle only together. May be null.
  io::Nanos* moved = nullptr;
};

// Relays one body with its trailers to its end. Nothing gathers in between: the sender's window or
// socket fills up when the receiver is slow. Adds the bytes that were passed on to `*bytes`.
io::Task<BodyOutcome> RelayBody(http::Incoming& from, http::Outgoing& to, BodyLimits limits,
                                uint64_t* bytes);

// What two streams have exchanged.
struct TcpTotals {
  uint64_t up = 0;      // from `a` to `b`
  uint64_t down = 0;    // from `b` to `a`
  bool failed = false;  // one side broke; the other was reset
};

// Relays both directions until both have ended; the end of one is passed on as such (half-close). A
// failure of either breaks both off. `idle`: no byte in either direction for so long ends it.
io::Task<TcpTotals> RelayTcp(io::Stream& a, io::Stream& b, io::Nanos idle);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_RELAY_H_
