// What a sidecar and its successor say to each other, one message each:
//
//   successor      take-over <protocol> <version of its build>
//   predecessor    sockets <role> <role>...       with a listening socket for each; or
//                  refused <why>
//                  ...the successor gets its configuration and its certificate...
//   successor      ready
//   predecessor    go
//   successor      accepting                      from now on both do
//                  ...the predecessor stops accepting...
//   predecessor    connections <role>             with idle connections, as often as it likes
//
// Until "accepting" has arrived the predecessor serves as if nothing were: whatever goes wrong
// before, and a successor that vanishes, changes nothing. The sockets are shared and not opened
// anew, so that no connection that waits in their queues is lost.
#ifndef WEFT_SIDECAR_REPLACE_PROTOCOL_H_
#define WEFT_SIDECAR_REPLACE_PROTOCOL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sidecar/io/timer.h"

namespace weft::replace {

inline constexpr int kProtocol = 1;

// What a socket is for.
enum class Role : uint8_t { kOutbound, kInbound, kAdmin, kMetrics, kHealth, kSuccessor };

inline constexpr std::array<std::string_view, 6> kRoleNames = {"outbound", "inbound", "admin",
                                                               "metrics",  "health",  "successor"};

inline std::string_view NameOf(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

inline std::optional<Role> RoleOf(std::string_view name) {
  for (size_t i = 0; i < kRoleNames.size(); ++i) {
    if (kRoleNames[i] == name) return static_cast<Role>(i);
  }
  return std::nullopt;
}

inline constexpr std::string_view kTakeOver = "take-over ";
inline constexpr std::string_view kSockets = "sockets";
inline constexpr std::string_view kRefused = "refused ";
inline constexpr std::string_view kReady = "ready";
inline constexpr std::string_view kGo = "go";
inline constexpr std::string_view kAccepting = "accepting";
inline constexpr std::string_view kConnections = "connections ";

// For an answer that needs no work.
inline constexpr io::Nanos kAnswerLimit = 10 * io::kSecond;
// For the successor to become ready; it gives up earlier by itself.
inline constexpr io::Nanos kReadyLimit = 600 * io::kSecond;

// Where the sidecar with this inbound port is met.
inline std::string ChannelName(uint16_t inbound_port) {
  return "weft-sidecar-" + std::to_string(inbound_port);
}

}  // namespace weft::replace

#endif  // WEFT_SIDECAR_REPLACE_PROTOCOL_H_
