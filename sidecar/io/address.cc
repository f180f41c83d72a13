#include "sidecar/io/address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::io {

Address Address::From(const sockaddr* address) {
  Address result;
  if (address->sa_family == AF_INET) {
    std::memcpy(&result.storage_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      result.storage_.v4.sin_family = AF_INET;
      result.storage_.v4.sin_port = v6.sin6_port;
      std::memcpy(&result.storage_.v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
    } else {
      v6.sin6_flowinfo = 0;
      result.storage_.v6 = v6;
    }
  }
  return result;
}

absl::StatusOr<Address> Address::FromIp(std::string_view ip, uint16_t port) {
  const std::string text(ip);
  sockaddr_in v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return From(reinterpret_cast<const sockaddr*>(&v4));
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return From(reinterpret_cast<const sockaddr*>(&v6));
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an IP address"));
}

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", ToAbsl(text), "\": ", ToAbsl(why)));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid("no port; expected IP:PORT");
  std::string_view ip = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (ip.starts_with('[') && ip.ends_with(']')) {
    ip = ip.substr(1, ip.size() - 2);
  } else if (ip.find(':') != std::string_view::npos) {
    return invalid("an IPv6 address needs brackets: [IP]:PORT");
  }
  uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) {
    return invalid("the port is not a number from 0 to 65535");
  }
  absl::StatusOr<Address> address = FromIp(ip, port);
  if (!address.ok()) return invalid(ToStd(address.status().message()));
  return address;
}

std::string Address::ip() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = is_ipv6() ? static_cast<const void*>(&storage_.v6.sin6_addr)
                                : static_cast<const void*>(&storage_.v4.sin_addr);
  inet_ntop(is_ipv6() ? AF_INET6 : AF_INET, bytes, text.data(), text.size());
  return text.data();
}

std::string Address::ToString() const {
  return is_ipv6() ? absl::StrCat("[", ip(), "]:", port()) : absl::StrCat(ip(), ":", port());
}

uint16_t Address::port() const {
  return ntohs(is_ipv6() ? storage_.v6.sin6_port : storage_.v4.sin_port);
}

bool Address::is_loopback() const {
  if (is_ipv6()) return IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
  return (ntohl(storage_.v4.sin_addr.s_addr) >> 24) == 127;
}

bool Address::SameIp(const Address& other) const {
  if (family() != other.family()) return false;
  if (is_ipv6()) {
    return std::memcmp(&storage_.v6.sin6_addr, &other.storage_.v6.sin6_addr, 16) == 0;
  }
  return storage_.v4.sin_addr.s_addr == other.storage_.v4.sin_addr.s_addr;
}

bool Address::operator==(const Address& other) const {
  return SameIp(other) && port() == other.port();
}

}  // namespace weft::io
