#include "sidecar/http/h1/client_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::http::h1 {

ClientConnection::ClientConnection(std::unique_ptr<io::Stream> stream, const Limits& limits)
    : stream_(std::move(stream)),
      reader_(stream_.get(), Parser::Kind::kResponse, limits),
      writer_(stream_.get()) {}

// A request that was broken off must not look complete to the peer.
ClientConnection::~ClientConnection() {
  if (sent_ && !writer_.ended()) stream_->ResetOnClose();
}

bool ClientConnection::reusable() const {
  const Parser& parser = reader_.parser();
  return sent_ && !tunnel_ && writer_.ended() && writer_.flushed() && !writer_.failed() &&
         parser.message_complete() && parser.body().empty() && parser.keep_alive() &&
         !reader_.has_bytes() && !reader_.stream_ended() && !stream_->peer_closed();
}

bool ClientConnection::StillAlive() {
  if (stream_->peer_closed() || reader_.has_bytes()) return false;
  // The kernel may know of a close that epoll has not told yet.
  return reader_.PeekHead() == State::kWouldBlock;
}

void ClientConnection::Renew() {
  reader_.Start();
  written_before_ = writer_.bytes_written();
  sent_ = false;
}

void ClientConnection::Send(const RequestHead& head) {
  to_head_ = head.method == "HEAD";
  reader_.Start(to_head_);
  sent_ = true;
  if (stream_->peer_closed()) {
    closed_before_send_ = true;
    return;
  }
  const Framing framing = WriteRequestHead(head, &writer_.head_buffer());
  writer_.Begin(framing, head.content_length.value_or(0));
  if (framing == Framing::kNone) writer_.Flush();
}

Incoming::State ClientConnection::PeekHead() {
  if (closed_before_send_) return State::kFailed;
  const State state = reader_.PeekHead();
  if (state == State::kData) {
    if (const int idle = reader_.parser().announced_idle_seconds(); idle > 0) {
      announced_idle_seconds_ = idle;
    }
    if (response().status == 101 && !tunnel_) {
      tunnel_ = true;
      reader_.BecomeTunnel();
      writer_.Begin(Framing::kTunnel, 0);
    }
    return State::kData;
  }
  return state == State::kEnd ? State::kFailed : state;
}

ClientExchange::Failure ClientConnection::failure() const {
  if (closed_before_send_ || writer_.bytes_written() == written_before_) {
    return Failure::kNotProcessed;
  }
  // The peer had ended the connection before the first byte of the request got there: its end would
  // have acknowledged that byte (RFC 9293 section 3.10.4), or been a reset.
  if (reader_.stream_ended() && !reader_.parser().started() &&
      stream_->unacknowledged_bytes() >= writer_.bytes_written() - written_before_) {
    return Failure::kNotProcessed;
  }
  return reader_.parser().failed() || writer_.failed() || reader_.stream_ended() ||
                 reader_.stream_failed()
             ? Failure::kUnknown
             : Failure::kNone;
}

// What is cut off fails to parse too, but says nothing about the peer's HTTP.
bool ClientConnection::malformed() const {
  return reader_.parser().failed() && !reader_.stream_ended() && !reader_.stream_failed();
}

std::string ClientConnection::error() const {
  if (closed_before_send_) return "the connection was closed before the request was sent";
  if (malformed()) {
    return absl::StrCat("malformed response: ", ToAbsl(reader_.parser().error().field));
  }
  const std::string stream_error = stream_->error();
  if (!stream_error.empty()) return stream_error;
  return reader_.parser().started() ? "the response was cut off"
                                    : "the connection was closed without a response";
}

}  // namespace weft::http::h1
