// Waits until the sidecar of this pod is ready: what holds an application back where the sidecar is
// an ordinary container.
#ifndef WEFT_INJECTOR_INIT_AWAIT_H_
#define WEFT_INJECTOR_INIT_AWAIT_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace weft {

// Asks `address` (an IPv4 address and port, "127.0.0.1:15021") for GET /healthz/ready again and
// again until it answers 200. DeadlineExceeded after `timeout`, with the last answer;
// InvalidArgument: the address is none.
absl::Status AwaitReady(std::string_view address, absl::Duration timeout);

}  // namespace weft

#endif  // WEFT_INJECTOR_INIT_AWAIT_H_
