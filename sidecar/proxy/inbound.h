// From the mesh to the application: what iptables redirects to port 15006.
#ifndef WEFT_SIDECAR_PROXY_INBOUND_H_
#define WEFT_SIDECAR_PROXY_INBOUND_H_

#include <memory>

#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::proxy {

class Worker;

// One connection, from accept to close: mesh TLS, plaintext or the application's own TLS; who it
// is; then to the application on the port that was dialled.
io::Task<void> ServeInbound(Worker& worker, std::unique_ptr<io::Socket> socket);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_INBOUND_H_
