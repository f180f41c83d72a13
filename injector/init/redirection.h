// What a pod's traffic redirection should be: who is exempt, and which ports and networks are left
// alone. Pure data and its parsing; rules.h turns it into iptables rules.
#ifndef WEFT_INJECTOR_INIT_REDIRECTION_H_
#define WEFT_INJECTOR_INIT_REDIRECTION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft {

enum class IpFamily { kV4, kV6 };

// Ports first to last, both included; a single port has first == last.
struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;

  bool operator==(const PortRange&) const = default;
};

// A network in canonical form: "10.0.0.0/8", "fd00::/8". Bits beyond the prefix are zero.
struct Network {
  IpFamily family = IpFamily::kV4;
  std::string cidr;

  bool operator==(const Network&) const = default;
};

struct Redirection {
  uint32_t proxy_uid = 1337;
  uint16_t outbound_port = 15001;
  uint16_t inbound_port = 15006;
  // Admin, metrics and health of the sidecar: reached directly, by whoever calls them.
  std::vector<PortRange> own_ports = {{15000, 15000}, {15020, 15021}};
  std::vector<PortRange> ignored_incoming_ports;
  std::vector<PortRange> ignored_outgoing_ports;
  std::vector<Network> ignored_outgoing_networks;
};

// One port from 1 to 65535. InvalidArgument names `flag` and the text that is none.
absl::StatusOr<uint16_t> ParsePort(std::string_view flag, std::string_view text);

// A comma-separated list of ports and ranges ("25,8000-8100"), sorted, duplicates and overlaps
// merged. Empty text is the empty list. InvalidArgument names `flag` and the entry.
absl::StatusOr<std::vector<PortRange>> ParsePorts(std::string_view flag, std::string_view text);

// A comma-separated list of addresses and CIDR networks, IPv4 and IPv6 mixed; an address is the
// network of itself. In the order given, without duplicates. InvalidArgument names `flag` and the
// entry.
absl::StatusOr<std::vector<Network>> ParseNetworks(std::string_view flag, std::string_view text);

}  // namespace weft

#endif  // WEFT_INJECTOR_INIT_REDIRECTION_H_
