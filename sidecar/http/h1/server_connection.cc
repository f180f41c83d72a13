#include "sidecar/http/h1/server_connection.h"

#include <algorithm>

namespace weft::http::h1 {
namespace {

// What a client still sends of a request that was answered early is worth reading if it is little:
// else the connection is cheaper to close (RFC 9112 section 9.3).
constexpr size_t kMaxDrainedBytes = 256 * 1024;

// What is thrown away of a client that goes on sending while it is told that the connection ends.
constexpr size_t kMaxLingerBytes = 4 * 1024 * 1024;
constexpr io::Nanos kLinger = io::kSecond;

}  // namespace

const ParseError ServerConnection::kLate{.status = 408, .field = "the head did not come in time"};

io::Task<ServerConnection::Next> ServerConnection::NextRequest(io::Nanos idle, io::Nanos head) {
  reader_.Start();
  responded_ = false;
  idle_ = true;
  io::Nanos deadline = io::Reactor::Current()->now() + idle;
  for (;;) {
    const State state = reader_.PeekHead();
    if (idle_ && reader_.parser().started()) {
      idle_ = false;
      deadline = io::Reactor::Current()->now() + head;
    }
    switch (state) {
      case State::kData:
        co_return Next::kRequest;
      case State::kEnd:
        co_return Next::kClosed;
      case State::kFailed:
        // A client that went away in the middle needs no answer.
        co_return reader_.stream_ended() || reader_.stream_failed() ? Next::kClosed
                                                                    : Next::kRefused;
      case State::kWouldBlock:
        if (draining_ && idle_) co_return Next::kClosed;
        break;
    }
    if (co_await Wait(stream_->readable(), deadline) == nullptr) {
      if (idle_) co_return Next::kClosed;
      late_ = close_ = true;
      co_return Next::kRefused;
    }
  }
}

void ServerConnection::Drain() {
  close_ = draining_ = true;
  if (idle_) stream_->readable().Notify();
}

void ServerConnection::LeaveWhenIdle() {
  draining_ = true;
  if (idle_) stream_->readable().Notify();
}

void ServerConnection::Respond(const ResponseHead& head) {
  // HTTP/1.0 knows no informational responses.
  if (head.informational() && request().version == Version::kHttp10) return;
  const Parser& parser = reader_.parser();
  if (parser.failed() || !parser.keep_alive()) close_ = true;
  // A client that waits for 100 may now send its body, or not, or the next request: nobody can tell
  // which (RFC 9110 section 10.1.1).
  if (!head.informational() && request().expect_continue && !continued_ && !parser.body_begun() &&
      !parser.message_complete()) {
    close_ = true;
  }
  const ResponseOptions options{
      .version = request().version, .to_head = request().method == "HEAD", .close = close_};
  const Framing framing = WriteResponseHead(head, options, &writer_.head_buffer());
  if (head.informational()) {
    if (head.status == 100) continued_ = true;
    writer_.Flush();
    return;
  }
  if (framing == Framing::kClose) close_ = true;
  if (framing == Framing::kTunnel) {
    tunnel_ = true;
    reader_.BecomeTunnel();
  }
  responded_ = true;
  writer_.Begin(framing, head.content_length.value_or(0));
}

void ServerConnection::Reset() {
  reset_ = true;
  stream_->ResetOnClose();
}

std::string_view ServerConnection::flaw() const {
  // What is cut off fails to parse too, but says nothing about the client's HTTP.
  const bool cut_off = reader_.stream_ended() || reader_.stream_failed();
  return cut_off ? std::string_view() : reader_.parser().error().field;
}

// Closing a socket that has unread bytes resets the connection, and the client may lose the answer:
// ends our direction and gives the client a little time to have read it.
io::Task<void> ServerConnection::Linger(io::Nanos deadline) {
  deadline = std::min(deadline, io::Reactor::Current()->now() + kLinger);
  stream_->ShutdownWrite();
  io::Buffer buffer;
  for (size_t left = kMaxLingerBytes; left > 0;) {
    const std::span<uint8_t> room = buffer.Room(io::Buffer::kBlockBytes);
    const io::IoResult read = stream_->Read(room.first(std::min(room.size(), left)));
    if (read.ok()) {
      left -= read.bytes;
    } else if (!read.would_block() || co_await Wait(stream_->readable(), deadline) == nullptr) {
      co_return;
    }
  }
}

io::Task<bool> ServerConnection::Finish(io::Nanos deadline) {
  if (reset_ || !responded_) co_return false;
  bool reusable = !tunnel_ && writer_.ended();
  writer_.Flush();
  size_t drained = 0;
  while (reusable && !close_) {
    const Piece piece = reader_.PeekBody();
    if (piece.state == State::kEnd) break;
    if (piece.state == State::kFailed || drained > kMaxDrainedBytes) {
      reusable = false;
    } else if (piece.state == State::kData) {
      drained += piece.data.size();
      reader_.ConsumeBody(piece.data.size());
    } else if (co_await Wait(stream_->readable(), deadline) == nullptr) {
      reusable = false;
    }
  }
  if (!reader_.parser().keep_alive()) reusable = false;
  while (!writer_.flushed() && !writer_.failed()) {
    if (co_await Wait(stream_->writable(), deadline) == nullptr) co_return false;
    writer_.Flush();
  }
  reusable = reusable && !close_ && !writer_.failed();
  const bool unread = !reader_.parser().message_complete() || reader_.has_bytes();
  if (!reusable && unread && !tunnel_ && !writer_.failed()) co_await Linger(deadline);
  co_return reusable;
}

}  // namespace weft::http::h1
