// From the application to the mesh: what iptables redirects to port 15001.
#ifndef WEFT_SIDECAR_PROXY_OUTBOUND_H_
#define WEFT_SIDECAR_PROXY_OUTBOUND_H_

#include <memory>

#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::proxy {

class Worker;

// One connection, from accept to close: where it wanted to go, what the mesh knows of that, what it
// speaks, and then request by request (or byte by byte) to the endpoints.
io::Task<void> ServeOutbound(Worker& worker, std::unique_ptr<io::Socket> socket);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_OUTBOUND_H_
