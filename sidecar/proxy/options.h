// Time and size limits of the data path.
#ifndef WEFT_SIDECAR_PROXY_OPTIONS_H_
#define WEFT_SIDECAR_PROXY_OPTIONS_H_

#include <cstddef>

#include "sidecar/http/h1/parser.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/timer.h"
#include "sidecar/upstream/pools.h"

namespace weft::proxy {

// Defaults fit a pod's sidecar; docs/reference/limits.md says what each is for.
struct Options {
  io::Nanos connect_timeout = 5 * io::kSecond;
  // The same where another endpoint could be tried instead: long enough for one lost SYN.
  io::Nanos first_connect_timeout = 1500 * io::kMillisecond;
  io::Nanos handshake_timeout = 5 * io::kSecond;
  // Waiting for the control plane's answer on a destination that was never dialled before.
  io::Nanos discovery_timeout = 2 * io::kSecond;
  // A client that is silent on an undeclared port is given so long before the server is asked to
  // speak.
  io::Nanos detect_grace = 5 * io::kMillisecond;
  io::Nanos client_idle = 600 * io::kSecond;  // between two requests
  io::Nanos client_head = 30 * io::kSecond;   // for the head of a request
  io::Nanos stream_idle = 300 * io::kSecond;  // nothing moves, in a body or awaiting a response
  // An HTTP/1 client that has ended its side while it awaits a response has mostly gone, but some
  // do so and wait (RFC 9112 section 9.6): so long it is believed.
  io::Nanos half_closed = io::kSecond;
  io::Nanos tcp_idle = 3600 * io::kSecond;  // nothing moves, on opaque connections
  io::Nanos finish = 30 * io::kSecond;      // for a client to take the end of its response
  // Sending one request to endpoints, one after another, as long as it provably was not processed.
  int max_attempts = 3;
  // Of clients, in and out, all workers together. A connection takes two descriptors and a few
  // kilobytes.
  size_t max_connections = 20'000;
  // Connections that a worker is opening at one time.
  size_t max_pending_connects = 1'000;
  // Bytes of bodies that came in over HTTP/2 and wait in a worker for slow readers.
  size_t max_buffered_bytes = 128 * 1024 * 1024;
  http::h1::Limits h1;
  http::h2::Limits h2;
  upstream::PoolOptions pools;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_OPTIONS_H_
