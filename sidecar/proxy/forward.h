// One request on its way: sent to an upstream, retried where that is safe, its answer relayed.
#ifndef WEFT_SIDECAR_PROXY_FORWARD_H_
#define WEFT_SIDECAR_PROXY_FORWARD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "sidecar/http/message.h"
#include "sidecar/io/task.h"
#include "sidecar/proxy/errors.h"
#include "sidecar/proxy/options.h"
#include "sidecar/upstream/balance/load.h"
#include "sidecar/upstream/lease.h"

namespace weft::proxy {

// An upstream chosen for one attempt.
struct Attempt {
  upstream::Load load;  // empty where nothing is balanced
  upstream::Lease lease;
};

// Why no upstream could be chosen.
struct NoAttempt {
  Error error;
  std::string detail;
  bool worth_another = false;  // another endpoint may do
};

// Chooses upstreams for a request. Lives as long as the request.
class Chooser {
 public:
  virtual ~Chooser() = default;
  // The next one to try; not one that has failed before. `fresh`: on a new connection. Sets
  // `*attempt` or returns why not.
  virtual io::Task<NoAttempt> Choose(bool fresh, io::Nanos deadline,
                                     std::optional<Attempt>* attempt) = 0;
  // Every head of a response comes by before it is passed on.
  virtual void OnResponse(http::ResponseHead* head) {}
};

// What became of a request.
struct Outcome {
  Error error = Error::kNone;
  int status = 0;  // that the client was sent; 0: none
  std::string grpc_status;
  uint64_t request_bytes = 0;  // of the bodies
  uint64_t response_bytes = 0;
  int attempts = 0;
};

// Relays the request of `down` to an upstream and the response back. Always answers or resets
// `down`. `max_request_bytes`: of the body; 0 means no limit.
io::Task<Outcome> Forward(http::ServerExchange& down, Chooser& chooser, const Options& options,
                          uint64_t max_request_bytes);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_FORWARD_H_
