// The fields of a head that concern this connection or frame the body, and are not passed on.
#ifndef WEFT_SIDECAR_HTTP_H1_HOP_FIELDS_H_
#define WEFT_SIDECAR_HTTP_H1_HOP_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sidecar/http/headers.h"

namespace weft::http::h1 {

// Why a message was refused.
struct ParseError {
  int status = 0;          // for the answer to a bad request: 400, 414, 417, 431, 501, 505; 0: none
  std::string_view field;  // what was wrong, in words; a literal
};

// Gathers them (RFC 9110 section 7.6.1, RFC 9112 section 6), and refuses what another recipient
// could understand differently. Clear() keeps the memory. One thread.
class HopFields {
 public:
  enum class Fate : uint8_t { kPassOn, kKeptHere, kRefused };

  void Clear();

  // A field of a head. kRefused: error() says why.
  Fate TakeHeadField(bool of_request, std::string_view name, std::string_view value);
  // A field behind a body.
  Fate TakeTrailer(std::string_view name);
  // All fields have come: removes from `headers` those that Connection names. False if it names
  // what frames or routes the message, which other recipients would then not see.
  bool Complete(Headers* headers);

  const ParseError& error() const { return error_; }

  bool has_host() const { return has_host_; }
  const std::string& host() const { return host_; }
  std::optional<uint64_t> content_length() const { return content_length_; }
  // Transfer-Encoding, which is `chunked` and nothing else.
  bool chunked() const { return chunked_; }
  bool close() const { return close_; }
  bool keep_alive() const { return keep_alive_; }
  // TE lists "trailers".
  bool te_trailers() const { return te_trailers_; }
  bool expects_continue() const { return expects_continue_; }
  // The first protocol that Upgrade offers, with Connection's consent, which is not a version of
  // HTTP; else empty.
  std::string_view upgrade() const;
  // The value of HTTP2-Settings if Upgrade offers h2c with it (RFC 7540 section 3.2), else empty.
  std::string_view h2c_settings() const;
  // Seconds of "Keep-Alive: timeout="; 0 if none was announced.
  int idle_seconds() const { return idle_seconds_; }

 private:
  Fate Refuse(int status, std::string_view what);
  Fate TakeLength(std::string_view name, std::string_view value);
  Fate TakeTransferEncoding(std::string_view name, std::string_view value);
  Fate TakeExpect(std::string_view value);
  void TakeTe(std::string_view value);
  void TakeUpgrade(std::string_view value);
  Fate TakeConnection(std::string_view value);
  void TakeKeepAlive(std::string_view value);

  ParseError error_;
  std::string host_;
  std::optional<uint64_t> content_length_;
  std::string connection_;  // options that are names of other fields
  std::string upgrade_;
  std::string http2_settings_;
  int named_fields_ = 0;  // in connection_
  int idle_seconds_ = 0;
  bool has_host_ = false;
  bool has_transfer_encoding_ = false;
  bool chunked_ = false;
  bool close_ = false;
  bool keep_alive_ = false;
  bool connection_upgrade_ = false;
  bool offers_h2c_ = false;
  bool connection_settings_ = false;
  bool settings_seen_ = false;
  bool te_trailers_ = false;
  bool expects_continue_ = false;
};

// A field that frames or routes a message or concerns a connection: it is written by the writer of
// heads alone, wherever the message came from.
bool StaysBehind(std::string_view name);

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_HOP_FIELDS_H_
