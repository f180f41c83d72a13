#include "injector/init/rules.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace weft {
namespace {

constexpr char kInbound[] = "WEFT_INBOUND";
constexpr char kOutbound[] = "WEFT_OUTBOUND";
constexpr const char* kChains[] = {kInbound, kOutbound};

std::string Port(const PortRange& range) {
  if (range.first == range.last) return absl::StrCat(range.first);
  return absl::StrCat(range.first, ":", range.last);
}

void LeaveAlone(const char* chain, const std::vector<PortRange>& ports, std::string* out) {
  for (const PortRange& range : ports) {
    absl::StrAppend(out, "-A ", chain, " -p tcp -m tcp --dport ", Port(range), " -j RETURN\n");
  }
}

void Redirect(const char* chain, uint16_t port, std::string* out) {
  absl::StrAppend(out, "-A ", chain, " -p tcp -j REDIRECT --to-ports ", port, "\n");
}

// "-A OUTPUT ..." becomes "-D OUTPUT ...".
void DeleteJumps(const InstalledRules& installed, std::string* out) {
  for (const std::string& jump : installed.jumps) {
    absl::StrAppend(out, "-D", jump.substr(2), "\n");
  }
}

void AppendInboundChain(const Redirection& redirection, std::string* out) {
  LeaveAlone(kInbound, redirection.own_ports, out);
  // A caller who dials the sidecar's listeners themselves meets the sidecar, not a redirected copy
  // of it.
  LeaveAlone(kInbound,
             {{redirection.outbound_port, redirection.outbound_port},
              {redirection.inbound_port, redirection.inbound_port}},
             out);
  LeaveAlone(kInbound, redirection.ignored_incoming_ports, out);
  Redirect(kInbound, redirection.inbound_port, out);
}

void AppendOutboundChain(const Redirection& redirection, IpFamily family, std::string* out) {
  // First, because every packet of the sidecar's own connections would otherwise come back to it.
  absl::StrAppend(out, "-A ", kOutbound, " -m owner --uid-owner ", redirection.proxy_uid,
                  " -j RETURN\n");
  absl::StrAppend(out, "-A ", kOutbound, " -d ",
                  family == IpFamily::kV4 ? "127.0.0.0/8" : "::1/128", " -j RETURN\n");
  LeaveAlone(kOutbound, redirection.own_ports, out);
  LeaveAlone(kOutbound,
             {{redirection.outbound_port, redirection.outbound_port},
              {redirection.inbound_port, redirection.inbound_port}},
             out);
  LeaveAlone(kOutbound, redirection.ignored_outgoing_ports, out);
  for (const Network& network : redirection.ignored_outgoing_networks) {
    if (network.family != family) continue;
    absl::StrAppend(out, "-A ", kOutbound, " -d ", network.cidr, " -j RETURN\n");
  }
  Redirect(kOutbound, redirection.outbound_port, out);
}

}  // namespace

InstalledRules FindInstalled(std::string_view saved_nat_table) {
  InstalledRules installed;
  bool in_nat = false;
  for (absl::string_view line : absl::StrSplit(ToAbsl(saved_nat_table), '\n')) {
    if (absl::StartsWith(line, "*")) in_nat = line == "*nat";
    if (!in_nat) continue;
    for (const char* chain : kChains) {
      if (absl::StartsWith(line, absl::StrCat(":", chain, " "))) installed.chains.push_back(chain);
      const bool in_built_in_chain =
          absl::StartsWith(line, "-A PREROUTING ") || absl::StartsWith(line, "-A OUTPUT ");
      if (in_built_in_chain && absl::EndsWith(line, absl::StrCat(" -j ", chain))) {
        installed.jumps.emplace_back(line);
      }
    }
  }
  return installed;
}

std::string InstallInput(const Redirection& redirection, IpFamily family,
                         const InstalledRules& installed) {
  std::string out = "*nat\n";
  // Naming a chain of ours creates it, or empties it if it exists.
  for (const char* chain : kChains) absl::StrAppend(&out, ":", chain, " - [0:0]\n");
  DeleteJumps(installed, &out);
  AppendInboundChain(redirection, &out);
  AppendOutboundChain(redirection, family, &out);
  // In front, so that no other rule of the pod leads traffic around the sidecar.
  absl::StrAppend(&out, "-I PREROUTING 1 -p tcp -j ", kInbound, "\n");
  absl::StrAppend(&out, "-I OUTPUT 1 -p tcp -j ", kOutbound, "\n");
  absl::StrAppend(&out, "COMMIT\n");
  return out;
}

std::string RemoveInput(const InstalledRules& installed) {
  if (installed.empty()) return "";
  std::string out = "*nat\n";
  for (const std::string& chain : installed.chains) {
    absl::StrAppend(&out, ":", chain, " - [0:0]\n");
  }
  DeleteJumps(installed, &out);
  for (const std::string& chain : installed.chains) absl::StrAppend(&out, "-X ", chain, "\n");
  absl::StrAppend(&out, "COMMIT\n");
  return out;
}

}  // namespace weft
