// An IPv4 or IPv6 address with a port.
#ifndef WEFT_SIDECAR_IO_ADDRESS_H_
#define WEFT_SIDECAR_IO_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::io {

// A value. IPv4-mapped IPv6 addresses become IPv4, so that equal peers compare equal.
class Address {
 public:
  Address() = default;

  static Address From(const sockaddr* address);

  // `ip` in text, without brackets. InvalidArgument names what is wrong.
  static absl::StatusOr<Address> FromIp(std::string_view ip, uint16_t port);

  // "10.0.0.1:80", "[fd00::1]:80". InvalidArgument names what is wrong.
  static absl::StatusOr<Address> Parse(std::string_view text);

  // As Parse() reads it; this is how Destination resources are named.
  std::string ToString() const;
  std::string ip() const;
  uint16_t port() const;
  bool is_ipv6() const { return family() == AF_INET6; }
  bool is_loopback() const;
  // Same IP, whatever the port.
  bool SameIp(const Address& other) const;

  int family() const { return storage_.v4.sin_family; }
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return is_ipv6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

  bool operator==(const Address& other) const;

  template <typename H>
  friend H AbslHashValue(H h, const Address& a) {
    if (!a.is_ipv6()) {
      return H::combine(std::move(h), a.storage_.v4.sin_addr.s_addr, a.storage_.v4.sin_port);
    }
    h = H::combine_contiguous(std::move(h), a.storage_.v6.sin6_addr.s6_addr, 16);
    return H::combine(std::move(h), a.storage_.v6.sin6_port);
  }

 private:
  union {
    sockaddr_in v4{};
    sockaddr_in6 v6;
  } storage_;
};

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_ADDRESS_H_
