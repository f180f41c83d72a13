// The configuration as a person or a tool reads it.
#ifndef WEFT_SIDECAR_DISCOVERY_CONFIG_DUMP_H_
#define WEFT_SIDECAR_DISCOVERY_CONFIG_DUMP_H_

#include <string>

#include "sidecar/discovery/subscriptions.h"

namespace weft::discovery {

// A JSON object: `resources` as in weft.v1.GetProxyConfigResponse, sorted by type and name;
// `asked`, `absent` and `refused`, each {"type", "name"} and for the last {"reason"}.
std::string DumpConfig(const Subscriptions& subscriptions);

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_CONFIG_DUMP_H_
