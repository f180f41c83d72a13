#include "sidecar/admin/request_parser.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"

namespace weft::admin {
namespace {

// RFC 3986 section 2.1; in a query '+' is a space. What is no escape stays as it is.
std::string Decode(std::string_view text, bool query) {
  const auto digit = [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c))
               ? c - '0'
               : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10;
  };
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += query && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

const llhttp_settings_t* RequestParser::Settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_url = [](llhttp_t* parser, const char* at, size_t size) {
      Self(parser)->target_.append(at, size);
      return Self(parser)->CountHead(size);
    };
    s.on_header_field = s.on_header_value = [](llhttp_t* parser, const char*, size_t size) {
      return Self(parser)->CountHead(size);
    };
    s.on_headers_complete = [](llhttp_t* parser) {
      Self(parser)->head_complete_ = true;
      return 0;
    };
    s.on_body = [](llhttp_t* parser, const char*, size_t size) {
      RequestParser* self = Self(parser);
      self->body_bytes_ += size;
      self->too_large_ = self->body_bytes_ > kMaxBodyBytes;
      return self->too_large_ ? HPE_USER : 0;
    };
    s.on_message_complete = [](llhttp_t* parser) -> int {
      Self(parser)->complete_ = true;
      return HPE_PAUSED;
    };
    return s;
  }();
  return &settings;
}

int RequestParser::CountHead(size_t bytes) {
  head_bytes_ += bytes;
  too_large_ = head_bytes_ > kMaxHeadBytes;
  return too_large_ ? HPE_USER : 0;
}

RequestParser::RequestParser() {
  llhttp_init(&parser_, HTTP_REQUEST, Settings());
  parser_.data = this;
}

RequestParser::State RequestParser::Feed(std::span<const uint8_t> bytes, size_t& consumed) {
  const char* const begin = reinterpret_cast<const char*>(bytes.data());
  const llhttp_errno_t error = llhttp_execute(&parser_, begin, bytes.size());
  consumed = bytes.size();
  if (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) {
    consumed = static_cast<size_t>(llhttp_get_error_pos(&parser_) - begin);
  }
  if (too_large_) return State::kTooLarge;
  if (!complete_) {
    if (error != HPE_OK) return State::kBad;
    return State::kMore;
  }
  method_ = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(&parser_)));
  // A request that asks for an upgrade gets a plain answer and no second request.
  keep_alive_ = error == HPE_PAUSED && llhttp_should_keep_alive(&parser_) != 0;
  return State::kComplete;
}

Request RequestParser::TakeRequest() {
  std::string_view target = target_;
  if (!target.starts_with('/')) {
    const size_t scheme = target.find("://");
    const size_t path = scheme == std::string_view::npos ? scheme : target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  Request request;
  request.method = std::move(method_);
  const size_t question = target.find('?');
  request.path = Decode(target.substr(0, question), false);
  std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    if (!pair.empty()) {
      request.query.insert_or_assign(Decode(pair.substr(0, equals), true), Decode(value, true));
    }
  }
  target_.clear();
  head_bytes_ = body_bytes_ = 0;
  head_complete_ = complete_ = false;
  llhttp_resume(&parser_);
  return request;
}

}  // namespace weft::admin
