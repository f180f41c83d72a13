#include "control-plane/compile/protocol.h"

#include <string>

#include "absl/strings/ascii.h"
#include "base/strings.h"

namespace weft::compile {
namespace {

using weft::v1::Protocol;

struct Word {
  std::string_view word;
  Protocol protocol;
};

constexpr Word kAppProtocols[] = {
    {"http", weft::v1::PROTOCOL_HTTP},
    {"http2", weft::v1::PROTOCOL_HTTP2},
    {"h2c", weft::v1::PROTOCOL_HTTP2},
    {"kubernetes.io/h2c", weft::v1::PROTOCOL_HTTP2},
    {"grpc", weft::v1::PROTOCOL_GRPC},
    {"grpc-web", weft::v1::PROTOCOL_HTTP},
    // A WebSocket begins as an HTTP/1.1 request.
    {"ws", weft::v1::PROTOCOL_HTTP},
    {"kubernetes.io/ws", weft::v1::PROTOCOL_HTTP},
    {"wss", weft::v1::PROTOCOL_TLS},
    {"kubernetes.io/wss", weft::v1::PROTOCOL_TLS},
    {"https", weft::v1::PROTOCOL_TLS},
    {"tls", weft::v1::PROTOCOL_TLS},
    {"tcp", weft::v1::PROTOCOL_TCP},
    {"mongo", weft::v1::PROTOCOL_TCP},
    {"mysql", weft::v1::PROTOCOL_TCP},
    {"postgres", weft::v1::PROTOCOL_TCP},
    {"postgresql", weft::v1::PROTOCOL_TCP},
    {"redis", weft::v1::PROTOCOL_TCP},
};

constexpr Word kNamePrefixes[] = {
    {"http", weft::v1::PROTOCOL_HTTP}, {"http2", weft::v1::PROTOCOL_HTTP2},
    {"grpc", weft::v1::PROTOCOL_GRPC}, {"https", weft::v1::PROTOCOL_TLS},
    {"tls", weft::v1::PROTOCOL_TLS},   {"tcp", weft::v1::PROTOCOL_TCP},
};

template <size_t N>
std::optional<Protocol> Find(const Word (&words)[N], std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(ToAbsl(text));
  for (const Word& word : words) {
    if (word.word == lower) return word.protocol;
  }
  return std::nullopt;
}

Protocol FromNumber(int port) {
  return port == 80 ? weft::v1::PROTOCOL_HTTP : weft::v1::PROTOCOL_DETECT;
}

}  // namespace

std::optional<Protocol> FromAppProtocol(std::string_view app_protocol) {
  return Find(kAppProtocols, app_protocol);
}

std::optional<Protocol> FromPortName(std::string_view name) {
  // gRPC-Web is HTTP/1.1 or HTTP/2 and needs no prior knowledge, unlike what its prefix says.
  const std::string lower = absl::AsciiStrToLower(ToAbsl(name));
  if (lower == "grpc-web" || lower.starts_with("grpc-web-")) return weft::v1::PROTOCOL_HTTP;
  return Find(kNamePrefixes, name.substr(0, name.find('-')));
}

Protocol ProtocolOf(const k8s::ServicePort& port) {
  if (std::optional<Protocol> protocol = FromAppProtocol(port.app_protocol())) return *protocol;
  if (std::optional<Protocol> protocol = FromPortName(port.name())) return *protocol;
  return FromNumber(port.port());
}

Protocol ProtocolOf(const k8s::ContainerPort& port) {
  if (std::optional<Protocol> protocol = FromPortName(port.name())) return *protocol;
  return FromNumber(port.container_port());
}

}  // namespace weft::compile
