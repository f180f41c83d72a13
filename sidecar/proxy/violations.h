// Clients that break the rules of a connection.
#ifndef WEFT_SIDECAR_PROXY_VIOLATIONS_H_
#define WEFT_SIDECAR_PROXY_VIOLATIONS_H_

#include <string_view>

#include "sidecar/proxy/worker.h"

namespace weft::proxy {

// Counts and logs that a client's HTTP/2 connection was ended, see RequestHandler::OnViolation().
// `direction`: "inbound" or "outbound".
void RecordViolation(Worker& worker, std::string_view direction, std::string_view code,
                     std::string_view why);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_VIOLATIONS_H_
