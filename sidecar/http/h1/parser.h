// HTTP/1 messages out of bytes.
#ifndef WEFT_SIDECAR_HTTP_H1_PARSER_H_
#define WEFT_SIDECAR_HTTP_H1_PARSER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sidecar/http/h1/hop_fields.h"
#include "sidecar/http/message.h"

namespace weft::http::h1 {

struct Limits {
  // Start line and fields together. With HTTP/2's 32 bytes on top of each field (RFC 9113
  // section 6.5.2) still less than the 64 KiB that the peer's sidecar takes.
  size_t max_head_bytes = 48 * 1024;
  size_t max_fields = 200;
  size_t max_target_bytes = 16 * 1024;
};

// Reads one message after another (RFC 9112), by the letter: what two parsers could read
// differently is refused (section 11.2), even where the standard lets a recipient guess. Lines end
// in CRLF and hold no other control character but the tab. One thread; allocates nothing once its
// strings have grown.
class Parser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };

  Parser(Kind kind, const Limits& limits) : kind_(kind), limits_(limits) {}
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Gets ready for the next message. `answers_head`: the response is one to HEAD.
  void Start(bool answers_head = false);

  // Reads on from `bytes` and returns how many it has used up. Stops at a piece of body (body(), a
  // view into `bytes`), at the end of the message and at an error; the caller consumes the piece
  // and calls again. Else it uses all.
  size_t Parse(std::span<const uint8_t> bytes);

  // The peer has ended the stream: completes a body that ends so, else it is an error.
  void ParseEnd();

  // At least one byte of the message has come; an empty line in front of it is none.
  bool started() const { return started_; }
  bool head_complete() const { return head_complete_; }
  // Nothing of it is still to come; the last piece of its body may be at hand.
  bool message_complete() const { return state_ == State::kComplete; }
  bool failed() const { return error_.status != 0; }
  const ParseError& error() const { return error_; }

  std::span<const uint8_t> body() const { return body_; }
  void ConsumeBody(size_t n) { body_ = body_.subspan(n); }
  // Something of the body has come.
  bool body_begun() const { return body_begun_; }

  // Valid once head_complete().
  RequestHead& request() { return request_; }
  const RequestHead& request() const { return request_; }
  ResponseHead& response() { return response_; }
  const ResponseHead& response() const { return response_; }
  // The connection may carry another message after this one, as far as this message says.
  bool keep_alive() const { return keep_alive_; }
  // HTTP2-Settings of a request that may be answered over HTTP/2 (RFC 7540 section 3.2), else
  // empty.
  std::string_view h2c_settings() const;
  // Seconds of the peer's "Keep-Alive: timeout="; 0 if it announced none.
  int announced_idle_seconds() const { return hop_.idle_seconds(); }

  // Valid once message_complete().
  const Headers& trailers() const { return trailers_; }

 private:
  enum class State : uint8_t {
    kStartLine,
    kFields,
    kSizedBody,
    kBodyToEnd,
    kChunkLine,
    kChunk,
    kChunkEnd,
    kTrailers,
    kComplete,
  };

  bool in_body() const {
    return state_ == State::kSizedBody || state_ == State::kBodyToEnd || state_ == State::kChunk;
  }
  size_t TakeLine(std::span<const uint8_t> bytes);
  size_t TakeBody(std::span<const uint8_t> bytes);
  bool AcceptPart(std::string_view part);
  size_t MaxLineBytes() const;
  void OnLine(std::string_view line);
  void OnRequestLine(std::string_view line);
  void OnStatusLine(std::string_view line);
  void OnChunkLine(std::string_view line);
  void OnField(std::string_view line);
  void OnHeadEnd();
  bool CompleteRequest();
  bool TakeTarget();
  void CompleteResponse();
  void Fail(int status, std::string_view what);

  const Kind kind_;
  const Limits limits_;

  State state_ = State::kStartLine;
  bool answers_head_ = false;
  bool blank_seen_ = false;
  bool started_ = false;
  bool head_complete_ = false;
  bool keep_alive_ = false;
  bool body_begun_ = false;
  bool http10_ = false;
  size_t block_bytes_ = 0;  // of the head, or of the trailers
  size_t fields_ = 0;
  uint64_t left_ = 0;  // of the body, or of the chunk
  ParseError error_;
  std::span<const uint8_t> body_;

  std::string line_;  // the beginning of a line whose end has not come yet
  std::string target_;
  HopFields hop_;
  RequestHead request_;
  ResponseHead response_;
  Headers trailers_;
};

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_PARSER_H_
