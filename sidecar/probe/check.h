// One look at the application, as a kubelet would take it (Kubernetes' HTTP, TCP and gRPC probes).
#ifndef WEFT_SIDECAR_PROBE_CHECK_H_
#define WEFT_SIDECAR_PROBE_CHECK_H_

#include "sidecar/admin/server.h"
#include "sidecar/io/address.h"
#include "sidecar/io/task.h"
#include "sidecar/probe/app_probes.pb.h"

namespace weft::probe {

// Asks the application in the pod that has the address `pod` (its port does not matter), within the
// probe's timeout. The answer is for the kubelet. Reactor thread.
io::Task<admin::Response> Check(AppProbe probe, io::Address pod);

}  // namespace weft::probe

#endif  // WEFT_SIDECAR_PROBE_CHECK_H_
