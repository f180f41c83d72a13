// weft-init: programs a pod's network namespace so that its TCP traffic goes through the sidecar,
// and exits.
#include <linux/capability.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/version.h"
#include "injector/init/backend.h"
#include "injector/init/redirection.h"
#include "injector/init/rules.h"

namespace weft {
namespace {

constexpr char kDescription[] =
    "Sends a pod's TCP traffic through its Weft sidecar: programs iptables and ip6tables in the "
    "network\n"
    "namespace it runs in, then exits. Needs the capabilities NET_ADMIN and NET_RAW.\n\n"
    "Outgoing TCP goes to the sidecar's outbound port, incoming TCP to its inbound port. Left "
    "alone: the\n"
    "sidecar's own connections (known by UID), loopback, the sidecar's own ports, and what the "
    "flags name.\n"
    "Running it again replaces its rules. Connections that are open already keep their way.";

struct Flags {
  std::string ignore_incoming_ports;
  std::string ignore_outgoing_ports;
  std::string ignore_outgoing_cidrs;
  std::string outbound_port = "15001";
  std::string inbound_port = "15006";
  std::string own_ports = "15000,15020,15021";
  uint32_t proxy_uid = 1337;
  std::string backend = "auto";
  std::string ipv6 = "auto";
  int lock_wait_seconds = 30;
  std::string log_level = "info";
  bool dry_run = false;
  bool cleanup = false;
};

absl::StatusOr<Redirection> ReadRedirection(const Flags& flags) {
  Redirection redirection;
  redirection.proxy_uid = flags.proxy_uid;
  absl::StatusOr<uint16_t> outbound = ParsePort("--outbound-port", flags.outbound_port);
  if (!outbound.ok()) return outbound.status();
  absl::StatusOr<uint16_t> inbound = ParsePort("--inbound-port", flags.inbound_port);
  if (!inbound.ok()) return inbound.status();
  if (*outbound == *inbound) {
    return absl::InvalidArgumentError("--outbound-port and --inbound-port are the same port");
  }
  redirection.outbound_port = *outbound;
  redirection.inbound_port = *inbound;
  const std::tuple<const char*, const std::string*, std::vector<PortRange>*> port_lists[] = {
      {"--own-ports", &flags.own_ports, &redirection.own_ports},
      {"--ignore-incoming-ports", &flags.ignore_incoming_ports,
       &redirection.ignored_incoming_ports},
      {"--ignore-outgoing-ports", &flags.ignore_outgoing_ports,
       &redirection.ignored_outgoing_ports},
  };
  for (const auto& [flag, text, ports] : port_lists) {
    absl::StatusOr<std::vector<PortRange>> parsed = ParsePorts(flag, *text);
    if (!parsed.ok()) return parsed.status();
    *ports = *std::move(parsed);
  }
  absl::StatusOr<std::vector<Network>> networks =
      ParseNetworks("--ignore-outgoing-cidrs", flags.ignore_outgoing_cidrs);
  if (!networks.ok()) return networks.status();
  redirection.ignored_outgoing_networks = *std::move(networks);
  return redirection;
}

// What the namespace has of IPv6, which decides whether leaving it alone is safe.
enum class Ipv6Presence {
  kNone,       // no address at all: nothing to redirect
  kLocalOnly,  // loopback and link-local addresses only
  kRoutable,
};

Ipv6Presence FindIpv6() {
  // One line per address: 32 hex digits, interface index, prefix length, scope, flags, name.
  std::ifstream addresses("/proc/net/if_inet6");
  Ipv6Presence presence = Ipv6Presence::kNone;
  for (std::string line; std::getline(addresses, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() < 6) continue;
    const bool global_scope = fields[3] == "00";
    if (global_scope) return Ipv6Presence::kRoutable;
    presence = Ipv6Presence::kLocalOnly;
  }
  return presence;
}

absl::Status CheckCapabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "CapEff:")) continue;
    const uint64_t effective = std::stoull(line.substr(7), nullptr, 16);
    if ((effective >> CAP_NET_ADMIN & 1) == 0) {
      return absl::PermissionDeniedError(
          "no capability NET_ADMIN: give it to this container (securityContext.capabilities.add)");
    }
  }
  return absl::OkStatus();
}

// The families to work on. Asked for explicitly, a missing ip6tables is an error; where the pod has
// a routable IPv6 address it always is one, since that traffic would go around the sidecar unseen.
absl::StatusOr<std::vector<IpFamily>> ChooseFamilies(const Flags& flags, const Backend& backend) {
  if (flags.ipv6 == "off") return std::vector<IpFamily>{IpFamily::kV4};
  const Ipv6Presence presence = FindIpv6();
  if (flags.ipv6 == "auto" && presence == Ipv6Presence::kNone) {
    WEFT_LOG_INFO("no IPv6 here, IPv4 only");
    return std::vector<IpFamily>{IpFamily::kV4};
  }
  absl::Status usable;
  if (!backend.Exists(IpFamily::kV6)) {
    usable = absl::NotFoundError("no ip6tables in PATH that matches the iptables in use");
  } else {
    usable = backend.Read(IpFamily::kV6).status();
  }
  if (usable.ok() || flags.dry_run) return std::vector<IpFamily>{IpFamily::kV4, IpFamily::kV6};
  if (flags.ipv6 == "auto" && presence == Ipv6Presence::kLocalOnly) {
    WEFT_LOG_WARN("IPv6 is left alone, the pod has no routable IPv6 address: {}",
                  std::string(usable.message()));
    return std::vector<IpFamily>{IpFamily::kV4};
  }
  return absl::Status(usable.code(), absl::StrCat("IPv6: ", usable.message(),
                                                  " (--ipv6=off leaves IPv6 traffic alone)"));
}

const char* FamilyName(IpFamily family) { return family == IpFamily::kV4 ? "IPv4" : "IPv6"; }

// Applies the input, or prints it where nothing may be changed.
absl::Status Apply(const Flags& flags, const Backend& backend, IpFamily family,
                   const std::string& input) {
  if (flags.dry_run) {
    if (!input.empty()) std::cout << "# " << backend.RestoreCommand(family) << "\n" << input;
    return absl::OkStatus();
  }
  absl::Status restored = backend.Restore(family, input);
  if (restored.ok()) return restored;
  return absl::Status(restored.code(), absl::StrCat(FamilyName(family), ": ", restored.message()));
}

// Ours in one family of one backend, gone. Nothing to do where the tables cannot be read at all.
absl::Status Remove(const Flags& flags, const Backend& backend, IpFamily family) {
  if (!backend.Exists(family)) return absl::OkStatus();
  const absl::StatusOr<TableState> state = backend.Read(family);
  if (!state.ok() || state->ours.empty()) return absl::OkStatus();
  const absl::Status removed = Apply(flags, backend, family, RemoveInput(state->ours));
  if (removed.ok() && !flags.dry_run) {
    WEFT_LOG_INFO("removed the {} rules from {} iptables", FamilyName(family),
                  BackendName(backend.kind()));
  }
  return removed;
}

absl::Status RemoveEverywhere(const Flags& flags, const Backend& chosen) {
  for (BackendKind kind : {BackendKind::kNft, BackendKind::kLegacy, chosen.kind()}) {
    const Backend backend(kind, Programs(), absl::Seconds(flags.lock_wait_seconds));
    for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
      if (absl::Status removed = Remove(flags, backend, family); !removed.ok()) return removed;
    }
  }
  return absl::OkStatus();
}

absl::Status Install(const Flags& flags, const Redirection& redirection, const Backend& backend) {
  const absl::StatusOr<std::vector<IpFamily>> families = ChooseFamilies(flags, backend);
  if (!families.ok()) return families.status();
  for (IpFamily family : *families) {
    absl::StatusOr<TableState> state = backend.Read(family);
    if (!state.ok() && !flags.dry_run) return state.status();
    const InstalledRules ours = state.ok() ? state->ours : InstalledRules();
    const absl::Status applied =
        Apply(flags, backend, family, InstallInput(redirection, family, ours));
    if (!applied.ok()) return applied;
    if (!flags.dry_run) {
      WEFT_LOG_INFO("{} TCP goes through the sidecar: out by port {}, in by port {}, {} iptables",
                    FamilyName(family), redirection.outbound_port, redirection.inbound_port,
                    BackendName(backend.kind()));
    }
  }
  // Rules of an earlier run with other flags: in the other backend, or for a family now left out.
  if (families->size() == 1) {
    if (absl::Status removed = Remove(flags, backend, IpFamily::kV6); !removed.ok()) return removed;
  }
  if (backend.kind() == BackendKind::kPlain) return absl::OkStatus();
  const Backend other(
      backend.kind() == BackendKind::kNft ? BackendKind::kLegacy : BackendKind::kNft, Programs(),
      absl::Seconds(flags.lock_wait_seconds));
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    if (absl::Status removed = Remove(flags, other, family); !removed.ok()) return removed;
  }
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  const absl::StatusOr<Redirection> redirection = ReadRedirection(flags);
  if (!redirection.ok()) return redirection.status();
  if (!flags.dry_run) {
    if (absl::Status capable = CheckCapabilities(); !capable.ok()) return capable;
  }
  const absl::StatusOr<Backend> backend =
      Backend::Choose(flags.backend, Programs(), absl::Seconds(flags.lock_wait_seconds));
  if (!backend.ok()) return backend.status();
  return flags.cleanup ? RemoveEverywhere(flags, *backend) : Install(flags, *redirection, *backend);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  weft::Flags flags;
  CLI::App app(weft::kDescription, "weft-init");
  app.add_option("--ignore-incoming-ports", flags.ignore_incoming_ports,
                 "Ports whose incoming connections reach the application directly: 25,8000-8100");
  app.add_option("--ignore-outgoing-ports", flags.ignore_outgoing_ports,
                 "Destination ports that the pod dials directly: 3306,5432");
  app.add_option("--ignore-outgoing-cidrs", flags.ignore_outgoing_cidrs,
                 "Networks that the pod dials directly, IPv4 and IPv6: 169.254.169.254,fd00::/8");
  app.add_option("--proxy-uid", flags.proxy_uid, "User id of the sidecar")->capture_default_str();
  app.add_option("--outbound-port", flags.outbound_port, "Where the sidecar takes outgoing traffic")
      ->capture_default_str();
  app.add_option("--inbound-port", flags.inbound_port, "Where the sidecar takes incoming traffic")
      ->capture_default_str();
  app.add_option("--own-ports", flags.own_ports,
                 "Ports on which the sidecar serves others itself (admin, metrics, health)")
      ->capture_default_str();
  app.add_option(
         "--backend", flags.backend,
         "Which iptables: nft, legacy, or auto: the one that is in use here already, else nft "
         "if the kernel has it")
      ->check(CLI::IsMember({"auto", "nft", "legacy"}))
      ->capture_default_str();
  app.add_option("--ipv6", flags.ipv6,
                 "Redirect IPv6 too: on, off, or auto: where the pod has IPv6")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--lock-wait", flags.lock_wait_seconds,
                 "Seconds to wait for another program that holds the xtables lock")
      ->check(CLI::Range(0, 600))
      ->capture_default_str();
  app.add_flag("--dry-run", flags.dry_run, "Print what would be applied and change nothing");
  app.add_flag("--cleanup", flags.cleanup, "Remove the rules of weft-init and nothing else");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error, off")
      ->capture_default_str();
  app.set_version_flag("--version", std::string(weft::kVersion), "Print the version and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 0 for --help; 2 for a mistake, as in the other programs.
    return app.exit(error) == 0 ? 0 : 2;
  }

  if (absl::Status logging = weft::InitLogging(flags.log_level); !logging.ok()) {
    std::cerr << "weft-init: --log-level: " << logging.message() << "\n";
    return 2;
  }
  const absl::Status status = weft::Run(flags);
  if (status.ok()) return 0;
  std::cerr << "weft-init: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
