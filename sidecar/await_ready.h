// "weft-sidecar --await-ready 60s": waits for the sidecar of this pod. Where the sidecar is an
// ordinary container, its postStart hook runs this, and Kubernetes starts the application only
// afterwards.
#ifndef WEFT_SIDECAR_AWAIT_READY_H_
#define WEFT_SIDECAR_AWAIT_READY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace weft {

// Asks /healthz/ready at the port on loopback until it says 200. DeadlineExceeded, with what it
// said last, if it has not by the timeout.
absl::Status AwaitReady(uint16_t health_port, absl::Duration timeout);

}  // namespace weft

#endif  // WEFT_SIDECAR_AWAIT_READY_H_
