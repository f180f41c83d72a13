// Probes that work whatever the mTLS mode: the kubelet asks the sidecar, the sidecar asks the
// application.
//
// The kubelet speaks plaintext and has no identity, so a probe of an application's port ends at the
// sidecar under `strict`. HTTP, TCP and gRPC probes are therefore turned into HTTP probes of the
// sidecar's health port, one path for each, and the sidecar is told in WEFT_APP_PROBES what each
// path means. Exec probes stay as they are.
#ifndef WEFT_INJECTOR_PATCH_PROBE_H_
#define WEFT_INJECTOR_PATCH_PROBE_H_

#include <string>
#include <vector>

#include "injector/patch/pod.h"

namespace weft::inject {

// Where the sidecar answers probes: its own and those of applications.
inline constexpr int kHealthPort = 15021;

// Rewrites the probes of all containers in `patch`, and returns what the sidecar has to know:
//   {"/app-probe/web/readyz": {"http": {"scheme": "HTTP", "port": 8080, "path": "/ready",
//                                       "host": "", "headers": [{"name": "..", "value": ".."}]},
//                              "timeout_seconds": 1},
//    "/app-probe/db/livez": {"tcp": {"port": 5432}, "timeout_seconds": 1},
//    "/app-probe/x/startupz": {"grpc": {"port": 9000, "service": ""}, "timeout_seconds": 1}}
// Probes with a port that cannot be resolved stay as they are, with a warning.
Json RewriteProbes(PodPatch& patch, std::vector<std::string>& warnings);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_PROBE_H_
