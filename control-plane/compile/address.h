// IP addresses and dialled addresses as text.
#ifndef WEFT_CONTROL_PLANE_COMPILE_ADDRESS_H_
#define WEFT_CONTROL_PLANE_COMPILE_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::compile {

// The canonical text of an IPv4 or IPv6 address (RFC 5952 for IPv6); nullopt if it is none.
std::optional<std::string> CanonicalIp(std::string_view ip);

inline bool IsIpv6(std::string_view canonical_ip) {
  return canonical_ip.find(':') != std::string_view::npos;
}

// An address as dialled: "10.0.0.1:80", "[fd00::1]:80".
struct SocketAddress {
  std::string ip;  // canonical
  uint32_t port = 0;

  std::string ToString() const;
};
std::optional<SocketAddress> ParseSocketAddress(std::string_view text);

// A TCP port number, 1 to 65535, in decimal digits and nothing else.
std::optional<uint32_t> ParsePort(std::string_view text);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_ADDRESS_H_
