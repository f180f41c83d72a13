// What becomes of a client that is one too many.
#ifndef WEFT_SIDECAR_PROXY_TURN_AWAY_H_
#define WEFT_SIDECAR_PROXY_TURN_AWAY_H_

#include <memory>

#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::proxy {

class Worker;

// Answers 503, weft-error: overloaded, if what the client sends at once is an HTTP/1 request; else
// the connection is reset. Bounded in number (beyond, all are reset) and to a second. Counted.
io::Task<void> TurnAway(Worker& worker, std::unique_ptr<io::Socket> socket);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_TURN_AWAY_H_
