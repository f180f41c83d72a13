// Heads of HTTP/1 messages as bytes.
#ifndef WEFT_SIDECAR_HTTP_H1_HEAD_WRITER_H_
#define WEFT_SIDECAR_HTTP_H1_HEAD_WRITER_H_

#include <cstdint>

#include "sidecar/http/message.h"
#include "sidecar/io/buffer.h"

namespace weft::http::h1 {

// How the end of an outgoing body is told (RFC 9112 section 6).
enum class Framing : uint8_t {
  kNone,     // there is no body
  kLength,   // Content-Length
  kChunked,  // Transfer-Encoding: chunked
  kClose,    // the end of the connection (responses to HTTP/1.0 only)
  kTunnel,   // after an upgrade: bytes of another protocol
};

// Appends the head of a request, framed as Content-Length if the length is known, else chunked;
// returns which.
Framing WriteRequestHead(const RequestHead& head, io::Buffer* out);

struct ResponseOptions {
  Version version = Version::kHttp11;  // of the request
  bool to_head = false;                // the request was HEAD
  bool close = false;                  // this is the connection's last response
};

// Appends the head of a response; returns how its body must be framed.
Framing WriteResponseHead(const ResponseHead& head, const ResponseOptions& options,
                          io::Buffer* out);

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_HEAD_WRITER_H_
