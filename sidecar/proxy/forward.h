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
#include "sidecar/proxy/retry_budget.h"
#include "sidecar/telemetry/shard.h"
#include "sidecar/upstream/balance/load.h"
#include "sidecar/upstream/lease.h"

namespace weft::proxy {

// An upstream chosen for one attempt.
struct Attempt {
  upstream::Load load;  // empty where nothing is balanced
  upstream::Lease lease;
  bool sidecar = false;  // the peer is a sidecar: what it says of its application counts
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
  // The next one to try; not one that has failed before. Sets `*attempt` or returns why not.
  virtual io::Task<NoAttempt> Choose(upstream::Reuse reuse, io::Nanos deadline,
                                     std::optional<Attempt>* attempt) = 0;
  // Every head of a response comes by before it is passed on.
  virtual void OnResponse(http::ResponseHead* head) {}
  // The attempt has failed: the next one goes to another endpoint, if there is one. `never`: rather
  // to none than to this one again.
  virtual void Avoid(const Attempt& attempt, bool never) {}
  // Whether there is another endpoint than those that have been tried and this one.
  virtual bool HasOther(const Attempt& attempt) const { return false; }
};

// What became of a request.
struct Outcome {
  Error error = Error::kNone;
  int status = 0;  // that the client was sent; 0: none
  std::string grpc_status;
  uint64_t request_bytes = 0;  // of the bodies
  uint64_t response_bytes = 0;
  int attempts = 0;
  bool over_budget = false;  // it would have been tried again if the budget had allowed it
};

// What holds for all requests of a connection. The referents outlive the requests.
struct ForwardSettings {
  const Options& options;
  RetryBudget& budget;
  uint64_t max_request_bytes = 0;  // of the body; 0 means no limit
  // The caller is a sidecar, which is told when a request provably did not reach the application,
  // so that it can send it elsewhere.
  bool caller_is_sidecar = false;
};

// Relays the request of `down` to an upstream and the response back. Always answers or resets
// `down`.
io::Task<Outcome> Forward(http::ServerExchange& down, Chooser& chooser,
                          const ForwardSettings& settings);

// Counts the attempts beyond the first.
void CountRetries(telemetry::Shard& metrics, const Outcome& outcome);

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_FORWARD_H_
