#include "sidecar/http/h1/parser.h"

#include <array>
#include <charconv>

#include "sidecar/io/buffer.h"

namespace weft::http::h1 {
namespace {

// Calls `use` with each comma-separated token of a field's value.
template <typename Use>
void ForEachToken(std::string_view list, Use use) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view token = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    while (!token.empty() && (token.front() == ' ' || token.front() == '\t'))
      token.remove_prefix(1);
    while (!token.empty() && (token.back() == ' ' || token.back() == '\t')) token.remove_suffix(1);
    if (!token.empty()) use(token);
  }
}

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  for (const std::string_view candidate : names) {
    if (NamesEqual(name, candidate)) return true;
  }
  return false;
}

// RFC 9110 section 5.6.2.
constexpr std::array<bool, 256> kTokenCharacters = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}();

bool IsFieldName(std::string_view name) {
  for (const char c : name) {
    if (!kTokenCharacters[static_cast<uint8_t>(c)]) return false;
  }
  return !name.empty();
}

// RFC 9110 section 5.5: no control characters but the tab.
bool IsFieldValue(std::string_view value) {
  for (const char c : value) {
    if ((static_cast<uint8_t>(c) < ' ' && c != '\t') || c == '\x7f') return false;
  }
  return true;
}

int AnnouncedIdleSeconds(std::string_view keep_alive) {
  constexpr std::string_view kTimeout = "timeout=";
  int seconds = 0;
  ForEachToken(keep_alive, [&](std::string_view token) {
    if (token.size() > kTimeout.size() && NamesEqual(token.substr(0, kTimeout.size()), kTimeout)) {
      token.remove_prefix(kTimeout.size());
      std::from_chars(token.data(), token.data() + token.size(), seconds);
    }
  });
  return seconds;
}

bool IsAuthority(std::string_view authority) {
  for (const char c : authority) {
    if (c <= ' ' || c == '/' || c == '?' || c == '#' || c == '@' || c == ',' || c == '\x7f') {
      return false;
    }
  }
  return true;
}

}  // namespace

// llhttp's view of a parser.
struct Parser::Callbacks {
  static Parser* Of(llhttp_t* p) { return static_cast<Parser*>(p->data); }

  static int Gather(Parser* self, std::string* into, const char* at, size_t size) {
    self->head_bytes_ += size;
    if (self->head_bytes_ > self->limits_.max_head_bytes) {
      return self->Fail(431, "the fields are larger than the limit");
    }
    into->append(at, size);
    return 0;
  }
  static int OnUrl(llhttp_t* p, const char* at, size_t size) {
    Parser* self = Of(p);
    if (self->target_.size() + size > self->limits_.max_target_bytes) {
      return self->Fail(414, "the request target is longer than the limit");
    }
    return Gather(self, &self->target_, at, size);
  }
  static int OnField(llhttp_t* p, const char* at, size_t size) {
    return Gather(Of(p), &Of(p)->name_, at, size);
  }
  static int OnValue(llhttp_t* p, const char* at, size_t size) {
    return Gather(Of(p), &Of(p)->value_, at, size);
  }
  static int OnValueComplete(llhttp_t* p) { return Of(p)->AddField() ? 0 : HPE_USER; }
  static int OnHeadersComplete(llhttp_t* p) { return Of(p)->OnHeadersComplete(); }
  static int OnBody(llhttp_t* p, const char* at, size_t size) {
    Of(p)->body_ = io::AsBytes(std::string_view(at, size));
    return HPE_PAUSED;
  }
  static int OnMessageComplete(llhttp_t* p) {
    Parser* self = Of(p);
    self->message_complete_ = true;
    self->keep_alive_ = llhttp_should_keep_alive(p) != 0;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* Settings() {
    static const llhttp_settings_t* settings = [] {
      auto* s = new llhttp_settings_t;
      llhttp_settings_init(s);
      s->on_url = &OnUrl;
      s->on_header_field = &OnField;
      s->on_header_value = &OnValue;
      s->on_header_value_complete = &OnValueComplete;
      s->on_headers_complete = &OnHeadersComplete;
      s->on_body = &OnBody;
      s->on_message_complete = &OnMessageComplete;
      return s;
    }();
    return settings;
  }
};

Parser::Parser(Kind kind, const Limits& limits) : kind_(kind), limits_(limits) {
  llhttp_init(&llhttp_, kind == Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE,
              Callbacks::Settings());
  llhttp_.data = this;
  Start();
}

void Parser::Start(bool answers_head) {
  llhttp_reset(&llhttp_);
  answers_head_ = answers_head;
  line_begins_ = true;
  first_line_seen_ = false;
  started_ = head_complete_ = message_complete_ = keep_alive_ = has_host_ = false;
  announced_idle_seconds_ = 0;
  head_bytes_ = fields_ = 0;
  error_ = {};
  body_ = {};
  target_.clear();
  name_.clear();
  value_.clear();
  connection_.clear();
  upgrade_.clear();
  request_.Clear();
  response_.Clear();
  trailers_.Clear();
}

Headers& Parser::headers() {
  if (head_complete_) return trailers_;
  return kind_ == Kind::kRequest ? request_.headers : response_.headers;
}

int Parser::Fail(int status, std::string_view what) {
  if (!failed()) error_ = {.status = status, .field = what};
  return HPE_USER;
}

size_t Parser::Parse(std::span<const uint8_t> bytes) {
  if (failed() || message_complete_ || !body_.empty()) return 0;
  // Behind a piece of body the end of the message may be due without another byte.
  const bool paused = llhttp_get_errno(&llhttp_) == HPE_PAUSED;
  if (bytes.empty() && !paused) return 0;
  started_ = true;
  if (paused) llhttp_resume(&llhttp_);
  // llhttp keeps pointers between calls and takes a null one for "none".
  const std::string_view text = bytes.empty() ? std::string_view("") : io::AsText(bytes);
  if (!head_complete_ && HasFolding(text)) {
    Fail(400, "a field continued on the next line");
    return 0;
  }
  const llhttp_errno_t error = llhttp_execute(&llhttp_, text.data(), text.size());
  if (error == HPE_OK) return bytes.size();
  const char* stopped_at = llhttp_get_error_pos(&llhttp_);
  const auto used = static_cast<size_t>(stopped_at - text.data());
  if (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) return used;
  const char* reason = llhttp_get_error_reason(&llhttp_);
  Fail(error == HPE_INVALID_VERSION ? 505 : 400, reason == nullptr ? "malformed" : reason);
  return used;
}

// Obsolete line folding (RFC 9112 section 5.2), which llhttp joins: what stands behind a line feed
// may not be white space, up to the empty line that ends the head.
bool Parser::HasFolding(std::string_view text) {
  size_t line = 0;
  for (;;) {
    if (line_begins_ && line < text.size()) {
      line_begins_ = false;
      if (text[line] == ' ' || text[line] == '\t') return true;
      if (text[line] == '\r' && first_line_seen_) return false;
      first_line_seen_ = true;
    }
    const size_t line_feed = text.find('\n', line);
    if (line_feed == std::string_view::npos) return false;
    line = line_feed + 1;
    line_begins_ = true;
  }
}

void Parser::ParseEnd() {
  if (failed() || message_complete_) return;
  if (llhttp_get_errno(&llhttp_) == HPE_PAUSED) llhttp_resume(&llhttp_);
  llhttp_finish(&llhttp_);
  if (!message_complete_) Fail(400, "the message was cut off");
}

bool Parser::AddField() {
  // llhttp lets some through that others would read differently.
  if (!IsFieldName(name_)) {
    Fail(400, "the name of a field is malformed");
    return false;
  }
  if (!IsFieldValue(value_)) {
    Fail(400, "the value of a field is malformed");
    return false;
  }
  if (++fields_ > limits_.max_fields) {
    Fail(431, "more fields than the limit");
    return false;
  }
  const bool request = kind_ == Kind::kRequest;
  // The length tells the few fields apart that are not passed on as they are.
  bool keep = true;
  switch (name_.size()) {
    case 2:
      // Only "trailers" means something beyond this hop.
      keep = !NamesEqual(name_, "te") || NamesEqual(value_, "trailers");
      break;
    case 4:
      if (request && !head_complete_ && NamesEqual(name_, "host")) {
        if (has_host_) {
          Fail(400, "more than one Host");
          return false;
        }
        has_host_ = true;
        request_.authority = value_;
        keep = false;
      }
      break;
    case 6:
      if (request && !head_complete_ && NamesEqual(name_, "expect") &&
          NamesEqual(value_, "100-continue")) {
        request_.expect_continue = true;
      }
      break;
    case 7:
      if (NamesEqual(name_, "upgrade")) {
        upgrade_ = value_;
        keep = false;
      }
      break;
    case 10:
      if (NamesEqual(name_, "connection")) {
        if (!connection_.empty()) connection_ += ',';
        connection_ += value_;
        keep = false;
      } else if (NamesEqual(name_, "keep-alive")) {
        announced_idle_seconds_ = AnnouncedIdleSeconds(value_);
        keep = false;
      }
      break;
    case 14:
      keep = !NamesEqual(name_, "content-length");
      break;
    case 16:
      keep = !NamesEqual(name_, "proxy-connection");
      break;
    case 17:
      keep = !NamesEqual(name_, "transfer-encoding");
      break;
    default:
      break;
  }
  if (keep) headers().Add(name_, value_);
  name_.clear();
  value_.clear();
  return true;
}

void Parser::RemoveFieldsNamedByConnection() {
  ForEachToken(connection_, [&](std::string_view token) {
    if (!IsOneOf(token, {"close", "keep-alive", "upgrade", "te"})) headers().Remove(token);
  });
}

int Parser::OnHeadersComplete() {
  if (!connection_.empty()) RemoveFieldsNamedByConnection();
  const bool chunked = (llhttp_.flags & F_CHUNKED) != 0;
  const bool sized = (llhttp_.flags & F_CONTENT_LENGTH) != 0;
  if ((llhttp_.flags & F_TRANSFER_ENCODING) != 0 && (!chunked || llhttp_.http_minor == 0)) {
    return Fail(kind_ == Kind::kRequest ? 400 : 502, "a transfer coding other than chunked");
  }
  int action = 0;
  if (kind_ == Kind::kRequest) {
    if (!CompleteRequest()) return HPE_USER;
    if (sized) request_.content_length = llhttp_.content_length;
    request_.has_body = chunked || (sized && llhttp_.content_length > 0);
  } else {
    CompleteResponse();
    const int status = response_.status;
    if (sized) response_.content_length = llhttp_.content_length;
    const bool bodiless = answers_head_ || status / 100 == 1 || status == 204 || status == 304;
    response_.has_body = !bodiless && (chunked || !sized || llhttp_.content_length > 0);
    if (bodiless) action = 1;
  }
  head_complete_ = true;
  return action;
}

bool Parser::CompleteRequest() {
  request_.method = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_.method));
  request_.scheme = "http";
  request_.version = llhttp_.http_minor == 0 ? Version::kHttp10 : Version::kHttp11;
  if (llhttp_.http_major != 1) {
    Fail(505, "an HTTP version other than 1");
    return false;
  }
  if (!has_host_ && request_.version == Version::kHttp11) {
    Fail(400, "no Host");
    return false;
  }
  if (!IsAuthority(request_.authority)) {
    Fail(400, "Host is malformed");
    return false;
  }
  if (!TakeTarget()) return false;
  if (llhttp_.upgrade != 0) request_.upgrade = upgrade_;
  return true;
}

// RFC 9112 section 3.2: origin-form, absolute-form, authority-form of CONNECT, asterisk-form of
// OPTIONS.
bool Parser::TakeTarget() {
  if (request_.method == "CONNECT") {
    request_.authority = target_;
    request_.path.clear();
    return true;
  }
  if (target_.starts_with('/') || (target_ == "*" && request_.method == "OPTIONS")) {
    request_.path = target_;
    return true;
  }
  const size_t scheme_end = target_.find("://");
  if (scheme_end == std::string::npos ||
      !IsOneOf(std::string_view(target_).substr(0, scheme_end), {"http", "https"})) {
    Fail(400, "the request target is malformed");
    return false;
  }
  const std::string_view rest = std::string_view(target_).substr(scheme_end + 3);
  const size_t path = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, path);
  if (has_host_ && !NamesEqual(authority, request_.authority)) {
    Fail(400, "Host and the request target disagree");
    return false;
  }
  if (authority.empty() || !IsAuthority(authority)) {
    Fail(400, "the request target has no host");
    return false;
  }
  request_.authority = authority;
  request_.path = path == std::string_view::npos ? "/" : std::string(rest.substr(path));
  if (request_.path.starts_with('?')) request_.path.insert(0, "/");
  return true;
}

void Parser::CompleteResponse() {
  response_.status = llhttp_.status_code;
  if (llhttp_.upgrade != 0) response_.upgrade = upgrade_;
}

}  // namespace weft::http::h1
