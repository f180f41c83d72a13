#include "sidecar/http/h1/parser.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "sidecar/http/h1/grammar.h"
#include "sidecar/io/buffer.h"

namespace weft::http::h1 {
namespace {

// With its extensions.
constexpr size_t kMaxChunkLineBytes = 4096;

// "HTTP/1.1" and "HTTP/1.0". A later minor version would be as good as 1.1, but not everybody
// thinks so.
std::optional<bool> IsHttp10(std::string_view version) {
  if (version == "HTTP/1.1") return false;
  if (version == "HTTP/1.0") return true;
  return std::nullopt;
}

bool IsVersion(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
         is_digit(text[7]);
}

// Methods are case-sensitive, but one that frames the message must not be taken for another.
bool IsAlmost(std::string_view method, std::string_view known) {
  return method != known && NamesEqual(method, known);
}

}  // namespace

void Parser::Start(bool answers_head) {
  state_ = State::kStartLine;
  answers_head_ = answers_head;
  blank_seen_ = started_ = head_complete_ = keep_alive_ = body_begun_ = http10_ = false;
  block_bytes_ = fields_ = 0;
  left_ = 0;
  error_ = {};
  body_ = {};
  line_.clear();
  target_.clear();
  hop_.Clear();
  request_.Clear();
  response_.Clear();
  trailers_.Clear();
}

void Parser::Fail(int status, std::string_view what) {
  if (!failed()) error_ = {.status = status, .field = what};
}

size_t Parser::Parse(std::span<const uint8_t> bytes) {
  size_t used = 0;
  while (used < bytes.size() && !failed() && !message_complete() && body_.empty()) {
    const std::span<const uint8_t> rest = bytes.subspan(used);
    used += in_body() ? TakeBody(rest) : TakeLine(rest);
  }
  return used;
}

void Parser::ParseEnd() {
  if (failed() || message_complete()) return;
  if (state_ == State::kBodyToEnd) {
    state_ = State::kComplete;
  } else {
    Fail(400, "the message was cut off");
  }
}

size_t Parser::TakeBody(std::span<const uint8_t> bytes) {
  body_begun_ = true;
  if (state_ == State::kBodyToEnd) {
    body_ = bytes;
    return bytes.size();
  }
  body_ = bytes.first(std::min<uint64_t>(bytes.size(), left_));
  left_ -= body_.size();
  if (left_ == 0) state_ = state_ == State::kChunk ? State::kChunkEnd : State::kComplete;
  return body_.size();
}

size_t Parser::MaxLineBytes() const {
  switch (state_) {
    case State::kChunkEnd:
      return 2;
    case State::kChunkLine:
      return kMaxChunkLineBytes;
    default:
      return limits_.max_head_bytes - std::min(block_bytes_, limits_.max_head_bytes);
  }
}

// A part of a line with nothing in it that no line may hold, whatever else it is: so that a client
// is not waited for in vain.
bool Parser::AcceptPart(std::string_view part) {
  if (state_ == State::kChunkLine || state_ == State::kChunkEnd) body_begun_ = true;
  if (line_.size() + part.size() > MaxLineBytes()) {
    const bool start_line = state_ == State::kStartLine;
    switch (state_) {
      case State::kChunkEnd:
        Fail(400, "a chunk is longer than its size");
        break;
      case State::kChunkLine:
        Fail(400, "the line of a chunk is longer than the limit");
        break;
      default:
        Fail(start_line ? 414 : 431, start_line ? "the request line is longer than the limit"
                                                : "the fields are larger than the limit");
    }
    return false;
  }
  const std::string_view text = part.ends_with('\r') ? part.substr(0, part.size() - 1) : part;
  // A carriage return ended the part before this one.
  const bool broken = line_.ends_with('\r') && !part.empty();
  if (broken || std::any_of(text.begin(), text.end(), IsControl)) {
    Fail(400, "a control character, or a line that does not end in CRLF");
    return false;
  }
  return true;
}

size_t Parser::TakeLine(std::span<const uint8_t> bytes) {
  const void* line_feed = std::memchr(bytes.data(), '\n', bytes.size());
  if (line_feed == nullptr) {
    const std::string_view part = io::AsText(bytes);
    if (state_ == State::kStartLine && part != "\r") started_ = true;
    if (AcceptPart(part)) line_ += part;
    return bytes.size();
  }
  const size_t used = static_cast<const uint8_t*>(line_feed) - bytes.data() + 1;
  std::string_view line = io::AsText(bytes.first(used - 1));
  if (line_.size() + line.size() + 1 > MaxLineBytes()) {
    AcceptPart(std::string_view(line.data(), line.size() + 1));
    return used;
  }
  if (!line_.empty()) {
    line_ += line;
    line = line_;
  }
  if (!line.ends_with('\r')) {
    Fail(400, "a line that ends without a carriage return");
    return used;
  }
  if (head_complete_) body_begun_ = true;
  block_bytes_ += line.size() + 1;
  OnLine(line.substr(0, line.size() - 1));
  line_.clear();
  return used;
}

void Parser::OnLine(std::string_view line) {
  switch (state_) {
    case State::kStartLine:
      // RFC 9112 section 2.2: some clients end a body with a line too many.
      if (kind_ == Kind::kRequest && line.empty() && !blank_seen_) {
        blank_seen_ = true;
        return;
      }
      started_ = true;
      state_ = State::kFields;
      kind_ == Kind::kRequest ? OnRequestLine(line) : OnStatusLine(line);
      return;
    case State::kFields:
      line.empty() ? OnHeadEnd() : OnField(line);
      return;
    case State::kChunkLine:
      OnChunkLine(line);
      return;
    case State::kChunkEnd:
      state_ = State::kChunkLine;
      if (!line.empty()) Fail(400, "a chunk is longer than its size");
      return;
    case State::kTrailers:
      if (line.empty()) {
        state_ = State::kComplete;
      } else {
        OnField(line);
      }
      return;
    default:
      return;
  }
}

// RFC 9112 section 3: one space between each two.
void Parser::OnRequestLine(std::string_view line) {
  const size_t target = line.find(' ');
  const size_t version = line.rfind(' ');
  if (target == std::string_view::npos || version == target) {
    return Fail(400, "the request line is malformed");
  }
  const std::string_view version_text = line.substr(version + 1);
  const std::optional<bool> http10 = IsHttp10(version_text);
  if (!http10) {
    return IsVersion(version_text) ? Fail(505, "an HTTP version other than 1.0 and 1.1")
                                   : Fail(400, "the HTTP version is malformed");
  }
  http10_ = *http10;
  request_.version = http10_ ? Version::kHttp10 : Version::kHttp11;
  request_.method = line.substr(0, target);
  if (!IsToken(request_.method) || IsAlmost(request_.method, "HEAD") ||
      IsAlmost(request_.method, "CONNECT")) {
    return Fail(400, "the method is malformed");
  }
  target_ = line.substr(target + 1, version - target - 1);
  if (target_.size() > limits_.max_target_bytes) {
    return Fail(414, "the request target is longer than the limit");
  }
  if (!IsTarget(target_)) Fail(400, "the request target is malformed");
}

// RFC 9112 section 4. Nobody needs the reason phrase, so that the space in front of it may be
// missing too.
void Parser::OnStatusLine(std::string_view line) {
  constexpr size_t kVersionBytes = 8;
  constexpr size_t kStatusEnd = kVersionBytes + 4;
  const std::optional<bool> http10 = IsHttp10(line.substr(0, kVersionBytes));
  if (!http10) return Fail(502, "the HTTP version is neither 1.0 nor 1.1");
  http10_ = *http10;
  const bool shaped = line.size() >= kStatusEnd && line[kVersionBytes] == ' ' &&
                      (line.size() == kStatusEnd || line[kStatusEnd] == ' ');
  const std::optional<uint64_t> status =
      shaped ? ParseLength(line.substr(kVersionBytes + 1, 3)) : std::nullopt;
  if (!status || *status < 100 || !IsFieldValue(line)) {
    return Fail(502, "the status line is malformed");
  }
  response_.status = static_cast<int>(*status);
}

void Parser::OnChunkLine(std::string_view line) {
  const std::optional<uint64_t> size = ParseChunkLine(line);
  if (!size) return Fail(400, "the size of a chunk is malformed");
  left_ = *size;
  state_ = left_ > 0 ? State::kChunk : State::kTrailers;
  block_bytes_ = 0;
}

void Parser::OnField(std::string_view line) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  // Also white space before the colon, and a line that goes on with the one before (RFC 9112
  // section 5.2).
  if (colon == std::string_view::npos || !IsToken(name)) {
    const bool folded = line.front() == ' ' || line.front() == '\t';
    return Fail(400,
                folded ? "a field continued on the next line" : "the name of a field is malformed");
  }
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsFieldValue(value)) return Fail(400, "the value of a field is malformed");
  if (++fields_ > limits_.max_fields) return Fail(431, "more fields than the limit");
  const bool request = kind_ == Kind::kRequest;
  const HopFields::Fate fate =
      head_complete_ ? hop_.TakeTrailer(name) : hop_.TakeHeadField(request, name, value);
  switch (fate) {
    case HopFields::Fate::kPassOn: {
      Headers& headers = head_complete_ ? trailers_
                         : request      ? request_.headers
                                        : response_.headers;
      headers.Add(name, value);
      return;
    }
    case HopFields::Fate::kKeptHere:
      return;
    case HopFields::Fate::kRefused:
      return Fail(hop_.error().status, hop_.error().field);
  }
}

void Parser::OnHeadEnd() {
  const bool request = kind_ == Kind::kRequest;
  if (!hop_.Complete(request ? &request_.headers : &response_.headers)) {
    return Fail(hop_.error().status, hop_.error().field);
  }
  if (hop_.chunked() && http10_) return Fail(400, "Transfer-Encoding in HTTP/1.0");
  keep_alive_ = !hop_.close() && (!http10_ || hop_.keep_alive());
  if (request) {
    if (!CompleteRequest()) return;
  } else {
    CompleteResponse();
  }
  head_complete_ = true;
  block_bytes_ = fields_ = 0;
  left_ = hop_.content_length().value_or(0);
  if (!(request ? request_.has_body : response_.has_body)) {
    state_ = State::kComplete;
  } else if (hop_.chunked()) {
    state_ = State::kChunkLine;
  } else {
    state_ = hop_.content_length() ? State::kSizedBody : State::kBodyToEnd;
  }
}

std::string_view Parser::h2c_settings() const {
  const bool plain = !http10_ && !request_.has_body && request_.upgrade.empty() &&
                     request_.method != "CONNECT" && !hop_.close();
  return plain ? hop_.h2c_settings() : std::string_view();
}

bool Parser::CompleteRequest() {
  request_.scheme = "http";
  if (!hop_.has_host() && !http10_) {
    Fail(400, "no Host");
    return false;
  }
  request_.authority = hop_.host();
  if (!TakeTarget()) return false;
  request_.content_length = hop_.content_length();
  request_.has_body = hop_.chunked() || request_.content_length.value_or(0) > 0;
  if (hop_.te_trailers()) request_.headers.Add("TE", "trailers");
  // HTTP/1.0 knows neither.
  request_.expect_continue = hop_.expects_continue() && !http10_;
  if (hop_.expects_continue() && http10_) request_.headers.Remove("expect");
  // The bytes behind a body could be either protocol's.
  if (!http10_ && !request_.has_body) request_.upgrade = hop_.upgrade();
  return true;
}

// RFC 9112 section 3.2: origin-form, absolute-form, authority-form of CONNECT, asterisk-form of
// OPTIONS.
bool Parser::TakeTarget() {
  if (request_.method == "CONNECT") {
    if (target_.find(':') == std::string::npos || !IsAuthority(target_) || hop_.chunked() ||
        hop_.content_length().value_or(0) > 0) {
      Fail(400, "CONNECT without an authority, or with a body");
      return false;
    }
    request_.authority = target_;
    // What follows may be the tunnel's already.
    keep_alive_ = false;
    return true;
  }
  if (target_.starts_with('/') || (target_ == "*" && request_.method == "OPTIONS")) {
    request_.path = target_;
    return true;
  }
  const std::string_view target = target_;
  const size_t scheme_end = target.find("://");
  const std::string_view scheme = target.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      !(NamesEqual(scheme, "http") || NamesEqual(scheme, "https"))) {
    Fail(400, "the request target is malformed");
    return false;
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const size_t path = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, path);
  if (authority.empty() || !IsAuthority(authority)) {
    Fail(400, "the request target has no host");
    return false;
  }
  if (hop_.has_host() && !NamesEqual(authority, hop_.host())) {
    Fail(400, "Host and the request target disagree");
    return false;
  }
  request_.authority = authority;
  request_.path = path == std::string_view::npos ? std::string_view("/") : rest.substr(path);
  if (request_.path.starts_with('?')) request_.path.insert(0, "/");
  return true;
}

// RFC 9112 section 6.3.
void Parser::CompleteResponse() {
  const int status = response_.status;
  const bool framed = hop_.chunked() || hop_.content_length().value_or(0) > 0;
  const bool never_has_body = status / 100 == 1 || status == 204;
  if (never_has_body) {
    // A body all the same would be read as the next response.
    if (framed) keep_alive_ = false;
  } else {
    response_.content_length = hop_.content_length();
    response_.has_body = !answers_head_ && status != 304 && (framed || !hop_.content_length());
    if (response_.has_body && !framed) keep_alive_ = false;
  }
  if (status == 101) response_.upgrade = hop_.upgrade();
}

}  // namespace weft::http::h1
