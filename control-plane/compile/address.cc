#include "control-plane/compile/address.h"

#include <arpa/inet.h>

#include "absl/strings/str_cat.h"

namespace weft::compile {

std::optional<std::string> CanonicalIp(std::string_view ip) {
  char text[INET6_ADDRSTRLEN];
  unsigned char bytes[sizeof(in6_addr)];
  const std::string terminated(ip);
  for (int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, terminated.c_str(), bytes) == 1 && terminated.size() == ip.size()) {
      return inet_ntop(family, bytes, text, sizeof(text));
    }
  }
  return std::nullopt;
}

std::optional<uint32_t> ParsePort(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t port = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port == 0 || port > 65535) return std::nullopt;
  return port;
}

std::optional<SocketAddress> ParseSocketAddress(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::optional<std::string> ip = CanonicalIp(host);
  std::optional<uint32_t> port = ParsePort(text.substr(colon + 1));
  if (!ip || !port || IsIpv6(*ip) != bracketed) return std::nullopt;
  return SocketAddress{*ip, *port};
}

std::string SocketAddress::ToString() const {
  return IsIpv6(ip) ? absl::StrCat("[", ip, "]:", port) : absl::StrCat(ip, ":", port);
}

}  // namespace weft::compile
