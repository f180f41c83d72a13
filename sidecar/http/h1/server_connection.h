// The server's end of an HTTP/1 connection.
#ifndef WEFT_SIDECAR_HTTP_H1_SERVER_CONNECTION_H_
#define WEFT_SIDECAR_HTTP_H1_SERVER_CONNECTION_H_

#include <memory>

#include "sidecar/http/h1/body.h"
#include "sidecar/http/message.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"

namespace weft::http::h1 {

// One request after another, each an exchange on this same object (RFC 9112 section 9.3: answers go
// out in the order of the requests, so a pipelined request waits its turn). One coroutine drives
// it:
//   while (co_await connection.NextRequest(...) == kRequest) { ...answer...; if (!co_await
//   Finish()) break; }
class ServerConnection final : public ServerExchange {
 public:
  // The stream must outlive the connection.
  ServerConnection(io::Stream* stream, const Limits& limits)
      : stream_(stream), reader_(stream, Parser::Kind::kRequest, limits), writer_(stream) {}

  enum class Next : uint8_t {
    kRequest,  // request() is there
    kClosed,   // the client is gone or was idle too long
    kRefused,  // it sent something unacceptable, or too slowly: refusal() says what; answer, close
  };
  // Waits up to `idle` for the first byte of a request and then up to `head` for its last header.
  io::Task<Next> NextRequest(io::Nanos idle, io::Nanos head);
  const ParseError& refusal() const { return late_ ? kLate : reader_.parser().error(); }

  // HTTP2-Settings of a request that may be answered over HTTP/2 (RFC 7540 section 3.2), else
  // empty.
  std::string_view h2c_settings() const { return reader_.parser().h2c_settings(); }
  // Bytes that have come behind the request.
  std::span<const uint8_t> unread() const { return reader_.unread(); }

  // Brings the answer to the kernel and reads what is left of the request's body, within limits.
  // True if the connection can carry another request.
  io::Task<bool> Finish(io::Nanos deadline);

  // Ends the connection in order: at once if it is idle, else behind the response under way, which
  // announces it if its head has not gone out yet.
  void Drain();
  // The next response announces the end of the connection; until its request comes, there is no
  // hurry.
  void CloseAfterResponse() { close_ = true; }
  // As Drain(), but says nothing to the client, for the connection goes on elsewhere: kClosed means
  // that it is idle and that all that was read has been answered.
  void LeaveWhenIdle();
  // Nothing of a request has come since the last one was answered.
  bool at_rest() const { return idle_ && !reader_.has_bytes(); }

  const RequestHead& request() const override { return reader_.parser().request(); }
  RequestHead& mutable_request() override { return reader_.parser().request(); }
  void Respond(const ResponseHead& head) override;
  void Reset() override;
  std::string_view flaw() const override;
  bool half_closed() const override { return stream_->peer_closed(); }

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
  static const ParseError kLate;
  io::Task<void> Linger(io::Nanos deadline);

  io::Stream* const stream_;
  Reader reader_;
  Writer writer_;
  bool close_ = false;
  bool draining_ = false;
  bool idle_ = true;
  bool tunnel_ = false;
  bool responded_ = false;
  bool reset_ = false;
  bool late_ = false;       // the head did not come in time
  bool continued_ = false;  // the client was told to send its body
};

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_SERVER_CONNECTION_H_
