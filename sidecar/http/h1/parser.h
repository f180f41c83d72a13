// HTTP/1 messages out of bytes, with llhttp.
#ifndef WEFT_SIDECAR_HTTP_H1_PARSER_H_
#define WEFT_SIDECAR_HTTP_H1_PARSER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "llhttp.h"
#include "sidecar/http/message.h"

namespace weft::http::h1 {

struct Limits {
  // Start line and fields together. With HTTP/2's 32 bytes on top of each field (RFC 9113
  // section 6.5.2) still less than the 64 KiB that the peer's sidecar takes.
  size_t max_head_bytes = 48 * 1024;
  size_t max_fields = 200;
  size_t max_target_bytes = 16 * 1024;
};

// Why a message was refused.
struct ParseError {
  int status = 0;          // for the answer to a bad request: 400, 414, 431, 505; 0: no error
  std::string_view field;  // what was wrong, in words
};

// Reads one message after another (RFC 9112). Requests that two parsers could read differently are
// refused (section 11.2). One thread.
class Parser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };

  Parser(Kind kind, const Limits& limits);
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Gets ready for the next message. `answers_head`: the response is one to HEAD.
  void Start(bool answers_head = false);

  // Reads on from `bytes` and returns how many it has used up. Stops at a piece of body (body(), a
  // view into `bytes`), at the end of the message and at an error; the caller consumes the piece
  // and calls again.
  size_t Parse(std::span<const uint8_t> bytes);

  // The peer has ended the stream: completes a body that ends so, else it is an error.
  void ParseEnd();

  bool started() const { return started_; }  // at least one byte of the message has come
  bool head_complete() const { return head_complete_; }
  bool message_complete() const { return message_complete_; }
  bool failed() const { return error_.status != 0; }
  const ParseError& error() const { return error_; }

  std::span<const uint8_t> body() const { return body_; }
  void ConsumeBody(size_t n) { body_ = body_.subspan(n); }

  // Valid once head_complete().
  RequestHead& request() { return request_; }
  const RequestHead& request() const { return request_; }
  ResponseHead& response() { return response_; }
  const ResponseHead& response() const { return response_; }
  const Headers& trailers() const { return trailers_; }

  // The connection may carry another message after this one, as far as this message says.
  bool keep_alive() const { return keep_alive_; }
  // Seconds of the peer's "Keep-Alive: timeout="; 0 if it announced none.
  int announced_idle_seconds() const { return announced_idle_seconds_; }

 private:
  struct Callbacks;

  int OnHeadersComplete();
  bool AddField();
  bool CompleteRequest();
  void CompleteResponse();
  bool TakeTarget();
  bool HasFolding(std::string_view text);
  int Fail(int status, std::string_view what);
  void RemoveFieldsNamedByConnection();
  Headers& headers();

  const Kind kind_;
  const Limits limits_;
  llhttp_t llhttp_;

  bool answers_head_ = false;
  bool line_begins_ = true;  // the next byte is the first of a line of the head
  bool first_line_seen_ = false;
  bool started_ = false;
  bool head_complete_ = false;
  bool message_complete_ = false;
  bool keep_alive_ = false;
  bool has_host_ = false;
  int announced_idle_seconds_ = 0;
  size_t head_bytes_ = 0;
  size_t fields_ = 0;
  ParseError error_;
  std::span<const uint8_t> body_;

  std::string target_;
  std::string name_;
  std::string value_;
  std::string connection_;  // values of Connection, joined
  std::string upgrade_;
  RequestHead request_;
  ResponseHead response_;
  Headers trailers_;
};

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_PARSER_H_
