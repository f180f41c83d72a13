// The application's probes that come to the sidecar: the kubelet has no mesh certificate, so under
// strict mTLS its own probes would be refused. The injector points them at port 15021, and the
// sidecar asks the application inside the pod.
#ifndef WEFT_SIDECAR_PROBE_APP_PROBES_H_
#define WEFT_SIDECAR_PROBE_APP_PROBES_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "sidecar/admin/server.h"
#include "sidecar/probe/app_probes.pb.h"

namespace weft::probe {

// The environment variable that carries them.
inline constexpr char kAppProbesVariable[] = "WEFT_APP_PROBES";
// Where all their paths begin.
inline constexpr std::string_view kPathPrefix = "/app-probe/";

// Reads the variable's JSON. InvalidArgument names the probe and the field.
absl::StatusOr<AppProbes> ParseAppProbes(std::string_view json);

// Serves each probe on its path: the application's own status and words for HTTP, else 200 or 503
// (504 if there was no answer in time) with the reason. The application is dialled at the address
// at which the probe came in.
void AddProbePages(admin::Server& server, const AppProbes& probes);

}  // namespace weft::probe

#endif  // WEFT_SIDECAR_PROBE_APP_PROBES_H_
