// Taking requests off a connection, whatever version of HTTP it speaks.
#ifndef WEFT_SIDECAR_PROXY_SERVE_H_
#define WEFT_SIDECAR_PROXY_SERVE_H_

#include <memory>

#include "sidecar/http/message.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"
#include "sidecar/proxy/client_hello.h"
#include "sidecar/proxy/connections.h"
#include "sidecar/proxy/options.h"

namespace weft::proxy {

// What is done with each request. Shared by the connection's requests, which outlive the connection
// on HTTP/2.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // Answers the exchange, or resets it, before it returns.
  virtual io::Task<void> Handle(http::ServerExchange& exchange) = 0;
  // A request that could not be read was answered with an error.
  virtual void OnRefused() = 0;
  // A client's connection was ended because it violated HTTP/2 or asked too much of it. `code`:
  // what it was told, "ENHANCE_YOUR_CALM" for example; `why` in words.
  virtual void OnViolation(std::string_view code, std::string_view why) = 0;
};

// Serve until the connection ends, or is drained.
io::Task<void> ServeHttp1(std::unique_ptr<io::Stream> stream, Connections& connections,
                          const Options& options, std::shared_ptr<RequestHandler> handler);
io::Task<void> ServeHttp2(std::unique_ptr<io::Stream> stream, Connections& connections,
                          const Options& options, std::shared_ptr<RequestHandler> handler);

// A connection whose client has not shown what it speaks.
class UndecidedConnection final : public ServedConnection {
 public:
  UndecidedConnection(Connections* connections, io::Socket* socket)
      : ServedConnection(connections), socket_(socket) {}
  void Drain() override {}
  void Move() override {
    leaving_ = true;
    socket_->readable().Notify();
  }
  bool leaving() const { return leaving_; }

 private:
  io::Socket* const socket_;
  bool leaving_ = false;
};

// Waits until the first bytes tell what a client speaks. kNeedMore: it was silent until the
// deadline, or undecided for `once_begun` after its first byte, or has closed, or `undecided` is
// leaving. Nothing is taken off the socket.
io::Task<Opening> AwaitOpening(io::Socket& socket, io::Nanos deadline, io::Nanos once_begun,
                               const UndecidedConnection* undecided = nullptr);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_SERVE_H_
