// HTTP messages as the proxy sees them, whatever version carries them.
//
// A request and its response are an exchange. The side that receives requests holds a
// ServerExchange, the side that sends them a ClientExchange; HTTP/1 and HTTP/2 each implement both,
// and the proxy relays from one to the other without knowing which is which. Nothing here waits: a
// call does what can be done now, and events tell when to try again. One coroutine may wait for
// readable() and one for writable().
#ifndef WEFT_SIDECAR_HTTP_MESSAGE_H_
#define WEFT_SIDECAR_HTTP_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sidecar/http/headers.h"
#include "sidecar/io/event.h"

namespace weft::http {

enum class Version : uint8_t { kHttp10, kHttp11, kHttp2 };

// The head of a request. `headers` has neither pseudo-headers nor Host (that is `authority`), nor
// the fields that belong to one connection or frame the body (RFC 9110 section 7.6.1, RFC 9112
// section 6): Connection and what it names, Keep-Alive, Proxy-Connection, Transfer-Encoding,
// Upgrade, Content-Length. What they said is in the members below. `TE: trailers` stays.
struct RequestHead {
  std::string method;
  std::string scheme;     // "http" or "https"
  std::string authority;  // Host or :authority; may be empty from HTTP/1.0
  std::string path;       // with the query, as it came
  Headers headers;
  Version version = Version::kHttp11;
  bool has_body = false;                   // false: the message ends with the head
  std::optional<uint64_t> content_length;  // of the body, if it is known
  bool expect_continue = false;            // "Expect: 100-continue"; the field stays in `headers`
  std::string upgrade;                     // what Upgrade (or :protocol) asks for, e.g. "websocket"

  void Clear();
};

// The head of a response, with `headers` stripped in the same way.
struct ResponseHead {
  int status = 0;
  Headers headers;
  bool has_body = false;  // false: the message ends with the head
  std::optional<uint64_t>
      content_length;   // Content-Length as it came, also without a body (HEAD, 304)
  std::string upgrade;  // of a 101

  bool informational() const { return status >= 100 && status < 200 && status != 101; }
  void Clear();
};

// The body of a message that comes in.
class Incoming {
 public:
  enum class State : uint8_t {
    kData,        // `data` is at hand, at least one byte
    kWouldBlock,  // nothing yet: wait for readable()
    kEnd,         // the message is complete; trailers() may be asked
    kFailed,      // the message will never be complete
  };
  struct Piece {
    State state;
    std::span<const uint8_t> data;
  };

  virtual ~Incoming() = default;

  // The next bytes; the same ones until they are consumed. Valid until Consume() or the next
  // Peek().
  virtual Piece Peek() = 0;
  // Done with the first `n` bytes of the piece: makes room (and window) for more.
  virtual void Consume(size_t n) = 0;
  virtual io::Event& readable() = 0;
  // After kEnd; empty if there were none.
  virtual const Headers& trailers() const = 0;
};

// The body of a message that goes out.
class Outgoing {
 public:
  virtual ~Outgoing() = default;

  // Takes as many bytes as the bounded buffers and windows have room for. 0: wait for writable(),
  // unless write_failed().
  virtual size_t Write(std::span<const uint8_t> from) = 0;
  // Completes the message. Not to be called if the head said there is no body.
  virtual void End(const Headers& trailers) = 0;
  // Sends what has gathered, as far as it goes; implied by the end of the reactor's turn on HTTP/2.
  virtual void Flush() = 0;
  // Everything written is with the kernel, or with a session that will bring it there by itself.
  virtual bool flushed() const { return true; }
  virtual io::Event& writable() = 0;
  // Nothing more will get through to the peer.
  virtual bool write_failed() const = 0;
  // Notified when write_failed() has become true although nobody writes: the peer has broken the
  // exchange off. Null where only writing tells. For the coroutine that may wait for writable().
  virtual io::Event* broken() { return nullptr; }
};

// A request that came in and the response that goes out.
class ServerExchange : public Incoming, public Outgoing {
 public:
  virtual const RequestHead& request() const = 0;
  virtual RequestHead& mutable_request() = 0;

  // Sends a head; informational ones any number of times, then one other. A head with has_body ==
  // false ends the message.
  virtual void Respond(const ResponseHead& head) = 0;

  // What makes the rest of the request unreadable, in words; empty if nothing does.
  virtual std::string_view flaw() const { return {}; }

  // The client has ended its side of the connection, and may or may not be there still. Where it
  // provably is not, write_failed() says so.
  virtual bool half_closed() const { return false; }

  // Breaks the exchange off in a way that the peer cannot take for a complete response.
  virtual void Reset() = 0;
};

// A request that goes out and the response that comes in. Destroying it before both are complete
// breaks it off.
class ClientExchange : public Incoming, public Outgoing {
 public:
  // What is known of a request that failed (DESIGN section 3, "Errors a client sees").
  enum class Failure : uint8_t {
    kNone,
    kNotProcessed,  // the peer provably did not process it: any method may be sent again
    kUnknown,       // nobody can know
  };

  // Sends the head; with has_body == false that is the whole request. Once.
  virtual void Send(const RequestHead& head) = 0;

  // kData: response() is there (informational heads come one by one, each until NextHead());
  // kWouldBlock: wait for readable(); kFailed: there will be none, failure() and error() say more.
  virtual State PeekHead() = 0;
  virtual const ResponseHead& response() const = 0;
  virtual ResponseHead& mutable_response() = 0;
  // Done with an informational head.
  virtual void NextHead() = 0;

  virtual Failure failure() const = 0;
  // It failed because what came is no HTTP.
  virtual bool malformed() const { return false; }
  virtual std::string error() const = 0;
};

}  // namespace weft::http

#endif  // WEFT_SIDECAR_HTTP_MESSAGE_H_
