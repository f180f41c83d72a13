// Host names to addresses, by the system's resolver, without holding up the reactor.
#ifndef WEFT_SIDECAR_DISCOVERY_RESOLVER_H_
#define WEFT_SIDECAR_DISCOVERY_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"

namespace weft::discovery {

// Belongs to one reactor. getaddrinfo has no deadline of its own, so it runs in a thread that lives
// for the question; one that is late answers nobody.
class Resolver {
 public:
  explicit Resolver(io::Reactor* reactor);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  // The addresses of `host` (a name or an IP in text) with `port`, in the order in which to try
  // them; at most 16. Unavailable with the system's words, DeadlineExceeded.
  io::Task<absl::StatusOr<std::vector<io::Address>>> Resolve(std::string host, uint16_t port,
                                                             io::Nanos deadline);

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_RESOLVER_H_
