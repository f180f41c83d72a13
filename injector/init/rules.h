// The iptables rules that send a pod's TCP traffic through its sidecar, as input for
// `iptables-restore --noflush`: everything of one family goes into one atomic commit of the nat
// table.
//
// Ours are the chains WEFT_INBOUND and WEFT_OUTBOUND and the one jump to each from PREROUTING and
// OUTPUT. Nothing else in the table is read for meaning or touched.
#ifndef WEFT_INJECTOR_INIT_RULES_H_
#define WEFT_INJECTOR_INIT_RULES_H_

#include <string>
#include <string_view>
#include <vector>

#include "injector/init/redirection.h"

namespace weft {

// What of ours stands in a nat table.
struct InstalledRules {
  std::vector<std::string> chains;  // our chains that exist
  std::vector<std::string> jumps;   // rules of built-in chains that jump to ours, as "-A ..." lines

  bool empty() const { return chains.empty() && jumps.empty(); }
};

// Finds ours in the output of `iptables-save -t nat`.
InstalledRules FindInstalled(std::string_view saved_nat_table);

// Replaces whatever of ours is installed by the rules of `redirection` for one family. The same
// input applied twice leaves the same table.
std::string InstallInput(const Redirection& redirection, IpFamily family,
                         const InstalledRules& installed);

// Removes ours and nothing else. Empty if nothing of ours is installed.
std::string RemoveInput(const InstalledRules& installed);

}  // namespace weft

#endif  // WEFT_INJECTOR_INIT_RULES_H_
