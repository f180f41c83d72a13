// HTTP/1 requests of the small servers, parsed by llhttp within bounds (RFC 9112).
#ifndef WEFT_SIDECAR_ADMIN_REQUEST_PARSER_H_
#define WEFT_SIDECAR_ADMIN_REQUEST_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "llhttp.h"
#include "sidecar/admin/server.h"

namespace weft::admin {

// Reads one request after the other.
class RequestParser {
 public:
  static constexpr size_t kMaxHeadBytes = 8 * 1024;  // target and fields
  static constexpr size_t kMaxBodyBytes = 8 * 1024;  // bodies are read and ignored

  enum class State {
    kMore,      // incomplete
    kComplete,  // request() is there; Next() goes on
    kTooLarge,  // 431 or 413
    kBad,       // 400
  };

  RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes bytes up to the end of one request at most; `consumed` says how many.
  State Feed(std::span<const uint8_t> bytes, size_t& consumed);

  bool head_complete() const { return head_complete_; }
  // The target's path and query, decoded; a target in absolute form loses its scheme and authority.
  Request TakeRequest();
  // Whether the connection may carry another request.
  bool keep_alive() const { return keep_alive_; }

 private:
  static RequestParser* Self(llhttp_t* parser) { return static_cast<RequestParser*>(parser->data); }
  static const llhttp_settings_t* Settings();
  int CountHead(size_t bytes);

  llhttp_t parser_;
  std::string target_;
  std::string method_;
  size_t head_bytes_ = 0;
  size_t body_bytes_ = 0;
  bool head_complete_ = false;
  bool complete_ = false;
  bool keep_alive_ = false;
  bool too_large_ = false;
};

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_REQUEST_PARSER_H_
