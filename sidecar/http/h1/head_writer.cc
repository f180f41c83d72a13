#include "sidecar/http/h1/head_writer.h"

#include <array>
#include <charconv>
#include <string_view>

#include "sidecar/http/h1/hop_fields.h"

namespace weft::http::h1 {
namespace {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

void AppendNumber(uint64_t number, io::Buffer* out) {
  std::array<char, 20> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out->Append(std::string_view(text.data(), static_cast<size_t>(end - text.data())));
}

void AppendField(std::string_view name, std::string_view value, io::Buffer* out) {
  const size_t size = name.size() + value.size() + 4;
  uint8_t* at = out->Room(size).data();
  const auto put = [&at](std::string_view text) { at = std::copy(text.begin(), text.end(), at); };
  put(name);
  put(": ");
  put(value);
  put("\r\n");
  out->Commit(size);
}

void AppendFields(const Headers& headers, io::Buffer* out) {
  for (const Headers::Field field : headers) {
    if (!StaysBehind(field.name)) AppendField(field.name, field.value, out);
  }
}

void AppendLength(uint64_t length, io::Buffer* out) {
  out->Append("Content-Length: ");
  AppendNumber(length, out);
  out->Append("\r\n");
}

}  // namespace

Framing WriteRequestHead(const RequestHead& head, io::Buffer* out) {
  out->Append(head.method);
  out->Append(" ");
  out->Append(head.method == "CONNECT" ? head.authority : head.path);
  out->Append(" HTTP/1.1\r\n");
  AppendField("Host", head.authority, out);
  AppendFields(head.headers, out);
  Framing framing = Framing::kNone;
  if (!head.upgrade.empty()) {
    AppendField("Connection", "upgrade", out);
    AppendField("Upgrade", head.upgrade, out);
  }
  if (head.has_body) {
    if (head.content_length.has_value()) {
      AppendLength(*head.content_length, out);
      framing = Framing::kLength;
    } else {
      AppendField("Transfer-Encoding", "chunked", out);
      framing = Framing::kChunked;
    }
  } else if (head.content_length.has_value()) {
    AppendLength(0, out);
  }
  out->Append("\r\n");
  return framing;
}

Framing WriteResponseHead(const ResponseHead& head, const ResponseOptions& options,
                          io::Buffer* out) {
  out->Append("HTTP/1.1 ");
  AppendNumber(static_cast<uint64_t>(head.status), out);
  out->Append(" ");
  out->Append(ReasonPhrase(head.status));
  out->Append("\r\n");
  AppendFields(head.headers, out);
  Framing framing = Framing::kNone;
  if (head.status == 101) {
    AppendField("Connection", "upgrade", out);
    AppendField("Upgrade", head.upgrade, out);
    framing = Framing::kTunnel;
  } else if (!head.informational()) {
    bool close = options.close;
    if (head.content_length.has_value()) {
      // Also without a body: a response to HEAD and a 304 tell the length that GET would have.
      AppendLength(*head.content_length, out);
      framing = head.has_body ? Framing::kLength : Framing::kNone;
    } else if (head.has_body && options.version == Version::kHttp10) {
      framing = Framing::kClose;
      close = true;
    } else if (head.has_body) {
      AppendField("Transfer-Encoding", "chunked", out);
      framing = Framing::kChunked;
    } else if (!options.to_head && head.status != 204 && head.status != 304) {
      AppendLength(0, out);
    }
    if (close) {
      AppendField("Connection", "close", out);
    } else if (options.version == Version::kHttp10) {
      AppendField("Connection", "keep-alive", out);
    }
  }
  out->Append("\r\n");
  return framing;
}

}  // namespace weft::http::h1
