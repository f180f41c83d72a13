// The two directions of an HTTP/1 connection.
#ifndef WEFT_SIDECAR_HTTP_H1_BODY_H_
#define WEFT_SIDECAR_HTTP_H1_BODY_H_

#include <span>

#include "sidecar/http/h1/head_writer.h"
#include "sidecar/http/h1/parser.h"
#include "sidecar/http/message.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/stream.h"

namespace weft::http::h1 {

// Reads messages from a stream. Holds at most one block of bytes, none while the connection is
// idle.
class Reader {
 public:
  Reader(io::Stream* stream, Parser::Kind kind, const Limits& limits)
      : stream_(stream), parser_(kind, limits) {}

  // Until the head is complete (kData) or cannot be (kEnd: closed in order before its first byte).
  Incoming::State PeekHead();

  Incoming::Piece PeekBody();
  void ConsumeBody(size_t n);

  // What follows the message belongs to another protocol.
  void BecomeTunnel() { tunnel_ = true; }

  // Gets ready for the next message; bytes that have come already are kept.
  void Start(bool answers_head = false) { parser_.Start(answers_head); }

  Parser& parser() { return parser_; }
  const Parser& parser() const { return parser_; }
  // Bytes that have come and belong to no message yet.
  bool has_bytes() const { return in_.size() > parsed_; }
  std::span<const uint8_t> unread() const { return in_.bytes().subspan(parsed_); }
  bool stream_failed() const { return stream_failed_; }
  bool stream_ended() const { return stream_ended_; }

 private:
  enum class Fill : uint8_t { kMore, kWouldBlock, kEnded };
  Fill ReadMore();
  void ParseMore();
  Incoming::Piece PeekTunnel();

  io::Stream* const stream_;
  Parser parser_;
  io::Buffer in_;
  size_t parsed_ =
      0;  // bytes at the front of in_ that the parser is done with, but body() may point at
  bool tunnel_ = false;
  bool stream_ended_ = false;
  bool stream_failed_ = false;
};

// Writes messages to a stream. Small pieces gather until Flush(); large ones go straight to the
// stream.
class Writer {
 public:
  explicit Writer(io::Stream* stream) : stream_(stream) {}

  // Heads are appended here, then Begin() tells how the body is framed.
  io::Buffer& head_buffer() { return out_; }
  void Begin(Framing framing, uint64_t length);

  size_t Write(std::span<const uint8_t> from);
  void End(const Headers& trailers);
  void Flush();

  bool flushed() const { return out_.empty() && stream_clean_; }
  bool failed() const { return failed_; }
  // The message is complete as far as its writer is concerned.
  bool ended() const { return ended_; }
  // Bytes given to the stream since the connection began.
  uint64_t bytes_written() const { return bytes_written_; }

 private:
  size_t WriteRaw(std::span<const uint8_t> from);
  bool FlushGathered();

  io::Stream* const stream_;
  io::Buffer out_;
  Framing framing_ = Framing::kNone;
  uint64_t left_ = 0;  // of the body (kLength) or of the current chunk (kChunked)
  uint64_t bytes_written_ = 0;
  bool ended_ = true;
  bool failed_ = false;
  bool stream_clean_ = true;
  bool shut_down_ = false;
};

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_BODY_H_
