// The client's end of an HTTP/1 connection.
#ifndef WEFT_SIDECAR_HTTP_H1_CLIENT_CONNECTION_H_
#define WEFT_SIDECAR_HTTP_H1_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "sidecar/http/h1/body.h"
#include "sidecar/http/message.h"
#include "sidecar/io/frame_pool.h"
#include "sidecar/io/stream.h"

namespace weft::http::h1 {

// One exchange after another on one connection; a pool keeps it in between. One coroutine per
// direction.
class ClientConnection final : public ClientExchange, public io::Pooled {
 public:
  ClientConnection(std::unique_ptr<io::Stream> stream, const Limits& limits);
  ~ClientConnection() override;

  // The last exchange is complete in both directions and the peer lets the connection live.
  bool reusable() const;
  // Looks at a renewed connection just before reuse: false if the peer has closed it or sent what
  // nobody asked for.
  bool StillAlive();
  // Gets ready for the next exchange on a reusable connection.
  void Renew();
  // Seconds after which the peer has announced to close an idle connection; 0 if it has not.
  int announced_idle_seconds() const { return announced_idle_seconds_; }
  // When it became idle; kept by its pool.
  io::Nanos idle_since = 0;
  // How long it had been idle when it was last taken; kept by its pool.
  io::Nanos idle_for = 0;

  void Send(const RequestHead& head) override;
  State PeekHead() override;
  const ResponseHead& response() const override { return reader_.parser().response(); }
  ResponseHead& mutable_response() override { return reader_.parser().response(); }
  void NextHead() override { reader_.Start(to_head_); }
  Failure failure() const override;
  bool malformed() const override;
  std::string error() const override;

  Piece Peek() override { return reader_.PeekBody(); }
  void Consume(size_t n) override { reader_.ConsumeBody(n); }
  io::Event& readable() override { return stream_->readable(); }
  const Headers& trailers() const override { return reader_.parser().trailers(); }

  size_t Write(std::span<const uint8_t> from) override { return writer_.Write(from); }
  void End(const Headers& trailers) override { writer_.End(trailers); }
  void Flush() override { writer_.Flush(); }
  bool flushed() const override { return writer_.flushed(); }
  io::Event& writable() override { return stream_->writable(); }
  bool write_failed() const override { return writer_.failed(); }

 private:
  const std::unique_ptr<io::Stream> stream_;
  Reader reader_;
  Writer writer_;
  uint64_t written_before_ = 0;  // bytes of earlier exchanges
  int announced_idle_seconds_ = 0;
  bool to_head_ = false;
  bool sent_ = false;
  bool tunnel_ = false;
  bool closed_before_send_ = false;
};

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_CLIENT_CONNECTION_H_
