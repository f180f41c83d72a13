#include "sidecar/http/h1/hop_fields.h"

#include <charconv>

#include "sidecar/http/h1/grammar.h"

namespace weft::http::h1 {
namespace {

using Fate = HopFields::Fate;

constexpr int kMaxNamedFields = 64;

// RFC 9110 section 7.8: a name and perhaps a version.
bool IsProtocol(std::string_view text) {
  const size_t slash = text.find('/');
  return IsToken(text.substr(0, slash)) &&
         (slash == std::string_view::npos || IsToken(text.substr(slash + 1)));
}

// CGI and what descends from it read '_' and '-' in a name as the same.
bool Resembles(std::string_view name, std::string_view other) {
  if (name.size() != other.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' ? other[i] != '-' : !NamesEqual(name.substr(i, 1), other.substr(i, 1))) {
      return false;
    }
  }
  return true;
}

}  // namespace

void HopFields::Clear() {
  error_ = {};
  host_.clear();
  content_length_.reset();
  connection_.clear();
  upgrade_.clear();
  http2_settings_.clear();
  idle_seconds_ = named_fields_ = 0;
  has_host_ = false;
  has_transfer_encoding_ = chunked_ = close_ = keep_alive_ = connection_upgrade_ = false;
  offers_h2c_ = connection_settings_ = settings_seen_ = te_trailers_ = expects_continue_ = false;
}

Fate HopFields::Refuse(int status, std::string_view what) {
  error_ = {.status = status, .field = what};
  return Fate::kRefused;
}

Fate HopFields::TakeHeadField(bool of_request, std::string_view name, std::string_view value) {
  // The length tells the few fields apart that are not passed on as they are.
  switch (name.size()) {
    case 2:
      if (!NamesEqual(name, "te")) return Fate::kPassOn;
      TakeTe(value);
      return Fate::kKeptHere;
    case 4:
      if (!of_request || !NamesEqual(name, "host")) return Fate::kPassOn;
      if (has_host_) return Refuse(400, "more than one Host");
      if (!IsAuthority(value)) return Refuse(400, "Host is malformed");
      has_host_ = true;
      host_ = value;
      return Fate::kKeptHere;
    case 6:
      return of_request && NamesEqual(name, "expect") ? TakeExpect(value) : Fate::kPassOn;
    case 7:
      if (!NamesEqual(name, "upgrade")) return Fate::kPassOn;
      TakeUpgrade(value);
      return Fate::kKeptHere;
    case 10:
      if (NamesEqual(name, "connection")) return TakeConnection(value);
      if (!NamesEqual(name, "keep-alive")) return Fate::kPassOn;
      TakeKeepAlive(value);
      return Fate::kKeptHere;
    case 14:
      if (NamesEqual(name, "http2-settings")) {
        // More than one is as good as none.
        http2_settings_ = settings_seen_ ? std::string_view() : value;
        settings_seen_ = true;
        return Fate::kKeptHere;
      }
      return Resembles(name, "content-length") ? TakeLength(name, value) : Fate::kPassOn;
    case 16:
      return NamesEqual(name, "proxy-connection") ? Fate::kKeptHere : Fate::kPassOn;
    case 17:
      return Resembles(name, "transfer-encoding") ? TakeTransferEncoding(name, value)
                                                  : Fate::kPassOn;
    default:
      return Fate::kPassOn;
  }
}

Fate HopFields::TakeLength(std::string_view name, std::string_view value) {
  if (name[7] == '_') return Refuse(400, "Content_Length");
  if (content_length_) return Refuse(400, "more than one Content-Length");
  if (has_transfer_encoding_) return Refuse(400, "both Content-Length and Transfer-Encoding");
  content_length_ = ParseLength(value);
  return content_length_ ? Fate::kKeptHere : Refuse(400, "Content-Length is malformed");
}

Fate HopFields::TakeTransferEncoding(std::string_view name, std::string_view value) {
  if (name[8] == '_') return Refuse(400, "Transfer_Encoding");
  if (has_transfer_encoding_) return Refuse(400, "more than one Transfer-Encoding");
  if (content_length_) return Refuse(400, "both Content-Length and Transfer-Encoding");
  has_transfer_encoding_ = true;
  chunked_ = NamesEqual(value, "chunked");
  if (chunked_) return Fate::kKeptHere;
  // Well-formed, but beyond us: RFC 9112 section 6.1. All else is an attempt to be misread.
  int codings = 0;
  int chunked = 0;
  bool all_tokens = true;
  bool chunked_last = false;
  ForEachMember(value, [&](std::string_view coding) {
    ++codings;
    all_tokens = all_tokens && IsToken(coding);
    chunked_last = NamesEqual(coding, "chunked");
    chunked += chunked_last ? 1 : 0;
  });
  return codings > 1 && all_tokens && chunked_last && chunked == 1
             ? Refuse(501, "a transfer coding other than chunked")
             : Refuse(400, "Transfer-Encoding is not chunked");
}

Fate HopFields::TakeTrailer(std::string_view name) {
  switch (name.size()) {
    case 2:
      return NamesEqual(name, "te") ? Fate::kKeptHere : Fate::kPassOn;
    case 4:
      return NamesEqual(name, "host") ? Refuse(400, "Host in the trailers") : Fate::kPassOn;
    case 7:
      return NamesEqual(name, "upgrade") || NamesEqual(name, "trailer") ? Fate::kKeptHere
                                                                        : Fate::kPassOn;
    case 10:
      return NamesEqual(name, "connection") || NamesEqual(name, "keep-alive") ? Fate::kKeptHere
                                                                              : Fate::kPassOn;
    case 14:
      if (NamesEqual(name, "http2-settings")) return Fate::kKeptHere;
      return Resembles(name, "content-length") ? Refuse(400, "Content-Length in the trailers")
                                               : Fate::kPassOn;
    case 16:
      return NamesEqual(name, "proxy-connection") ? Fate::kKeptHere : Fate::kPassOn;
    case 17:
      return Resembles(name, "transfer-encoding") ? Refuse(400, "Transfer-Encoding in the trailers")
                                                  : Fate::kPassOn;
    default:
      return Fate::kPassOn;
  }
}

// RFC 9110 section 10.1.1.
Fate HopFields::TakeExpect(std::string_view value) {
  bool known = true;
  ForEachMember(value, [&](std::string_view expectation) {
    known = known && NamesEqual(expectation, "100-continue");
  });
  if (!known) return Refuse(417, "an expectation other than 100-continue");
  if (expects_continue_) return Fate::kKeptHere;
  expects_continue_ = true;
  return Fate::kPassOn;
}

void HopFields::TakeTe(std::string_view value) {
  ForEachMember(value, [&](std::string_view coding) {
    te_trailers_ = te_trailers_ || NamesEqual(coding, "trailers");
  });
}

void HopFields::TakeUpgrade(std::string_view value) {
  ForEachMember(value, [&](std::string_view protocol) {
    if (NamesEqual(protocol, "h2c")) {
      offers_h2c_ = true;
      return;
    }
    // Another HTTP through a tunnel would pass all rules by.
    const std::string_view name = protocol.substr(0, protocol.find('/'));
    if (NamesEqual(name, "h2") || NamesEqual(name, "h2c") || NamesEqual(name, "http")) return;
    if (upgrade_.empty() && IsProtocol(protocol)) upgrade_ = protocol;
  });
}

Fate HopFields::TakeConnection(std::string_view value) {
  ForEachMember(value, [&](std::string_view option) {
    if (NamesEqual(option, "close")) {
      close_ = true;
    } else if (NamesEqual(option, "keep-alive")) {
      keep_alive_ = true;
    } else if (NamesEqual(option, "upgrade")) {
      connection_upgrade_ = true;
    } else if (NamesEqual(option, "http2-settings")) {
      connection_settings_ = true;
    } else if (!NamesEqual(option, "te")) {
      if (!connection_.empty()) connection_ += ',';
      connection_ += option;
      ++named_fields_;
    }
  });
  // Each costs a walk over all fields.
  return named_fields_ <= kMaxNamedFields ? Fate::kKeptHere
                                          : Refuse(400, "Connection names too many fields");
}

void HopFields::TakeKeepAlive(std::string_view value) {
  constexpr std::string_view kTimeout = "timeout=";
  ForEachMember(value, [&](std::string_view member) {
    if (member.size() > kTimeout.size() &&
        NamesEqual(member.substr(0, kTimeout.size()), kTimeout)) {
      member.remove_prefix(kTimeout.size());
      std::from_chars(member.data(), member.data() + member.size(), idle_seconds_);
    }
  });
}

bool HopFields::Complete(Headers* headers) {
  bool harmless = true;
  ForEachMember(connection_, [&](std::string_view name) {
    if (NamesEqual(name, "host") || NamesEqual(name, "content-length") ||
        NamesEqual(name, "transfer-encoding")) {
      harmless = false;
    }
    headers->Remove(name);
  });
  if (!harmless) Refuse(400, "Connection names a field that frames or routes the message");
  return harmless;
}

std::string_view HopFields::h2c_settings() const {
  return connection_upgrade_ && connection_settings_ && offers_h2c_
             ? std::string_view(http2_settings_)
             : std::string_view();
}

bool StaysBehind(std::string_view name) {
  return BelongsToConnection(name) || Resembles(name, "content-length") ||
         Resembles(name, "transfer-encoding");
}

std::string_view HopFields::upgrade() const {
  return connection_upgrade_ ? std::string_view(upgrade_) : std::string_view();
}

}  // namespace weft::http::h1
