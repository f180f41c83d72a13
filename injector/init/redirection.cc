#include "injector/init/redirection.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace weft {
namespace {

constexpr int kMaxEntries = 1000;

absl::Status Bad(std::string_view flag, absl::string_view entry, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(flag), ": \"", entry, "\" is not ", ToAbsl(expected)));
}

// The entries of a comma-separated list, blanks around them removed.
absl::StatusOr<std::vector<absl::string_view>> Entries(std::string_view flag,
                                                       std::string_view text) {
  if (absl::StripAsciiWhitespace(ToAbsl(text)).empty()) return std::vector<absl::string_view>();
  std::vector<absl::string_view> entries = absl::StrSplit(ToAbsl(text), ',');
  if (entries.size() > kMaxEntries) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToAbsl(flag), ": more than ", kMaxEntries, " entries"));
  }
  for (absl::string_view& entry : entries) entry = absl::StripAsciiWhitespace(entry);
  return entries;
}

bool ReadPort(absl::string_view text, uint16_t* port) {
  uint32_t number = 0;
  if (text.empty() || !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(text, &number) || number == 0 || number > 65535) {
    return false;
  }
  *port = static_cast<uint16_t>(number);
  return true;
}

void ClearBitsBeyond(int prefix, uint8_t* bytes, int size) {
  for (int i = 0; i < size; ++i) {
    const int kept = std::clamp(prefix - 8 * i, 0, 8);
    bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
}

}  // namespace

absl::StatusOr<uint16_t> ParsePort(std::string_view flag, std::string_view text) {
  uint16_t port = 0;
  if (!ReadPort(ToAbsl(text), &port)) return Bad(flag, ToAbsl(text), "a port from 1 to 65535");
  return port;
}

absl::StatusOr<std::vector<PortRange>> ParsePorts(std::string_view flag, std::string_view text) {
  absl::StatusOr<std::vector<absl::string_view>> entries = Entries(flag, text);
  if (!entries.ok()) return entries.status();
  std::vector<PortRange> ranges;
  for (absl::string_view entry : *entries) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(entry, absl::MaxSplits('-', 1));
    PortRange range;
    const bool single = entry.find('-') == absl::string_view::npos;
    if (!ReadPort(ends.first, &range.first) ||
        !ReadPort(single ? ends.first : ends.second, &range.last)) {
      return Bad(flag, entry, "a port from 1 to 65535 or a range like 8000-8100");
    }
    if (range.last < range.first) return Bad(flag, entry, "a range: it ends before it starts");
    ranges.push_back(range);
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const PortRange& a, const PortRange& b) { return a.first < b.first; });
  std::vector<PortRange> merged;
  for (const PortRange& range : ranges) {
    if (!merged.empty() && range.first <= merged.back().last) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

absl::StatusOr<std::vector<Network>> ParseNetworks(std::string_view flag, std::string_view text) {
  absl::StatusOr<std::vector<absl::string_view>> entries = Entries(flag, text);
  if (!entries.ok()) return entries.status();
  std::vector<Network> networks;
  for (absl::string_view entry : *entries) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(entry, absl::MaxSplits('/', 1));
    const std::string address(parts.first);
    std::array<uint8_t, 16> bytes{};
    Network network;
    if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
      network.family = IpFamily::kV4;
    } else if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
      network.family = IpFamily::kV6;
    } else {
      return Bad(flag, entry, "an IP address or a CIDR network like 10.0.0.0/8 or fd00::/8");
    }
    const int bits = network.family == IpFamily::kV4 ? 32 : 128;
    int prefix = bits;
    if (entry.find('/') != absl::string_view::npos &&
        (parts.second.empty() ||
         !std::all_of(parts.second.begin(), parts.second.end(), absl::ascii_isdigit) ||
         !absl::SimpleAtoi(parts.second, &prefix) || prefix > bits)) {
      return Bad(flag, entry, absl::StrCat("a network: its prefix length must be 0 to ", bits));
    }
    ClearBitsBeyond(prefix, bytes.data(), bits / 8);
    char printed[INET6_ADDRSTRLEN];
    inet_ntop(network.family == IpFamily::kV4 ? AF_INET : AF_INET6, bytes.data(), printed,
              sizeof(printed));
    network.cidr = absl::StrCat(printed, "/", prefix);
    if (std::find(networks.begin(), networks.end(), network) == networks.end()) {
      networks.push_back(std::move(network));
    }
  }
  return networks;
}

}  // namespace weft
