// The endpoints behind one port of a service, and the choice among them.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_SET_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_SET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sidecar/io/timer.h"
#include "sidecar/route/random.h"
#include "sidecar/upstream/balance/endpoint.h"
#include "sidecar/upstream/balance/endpoint_config.h"
#include "sidecar/upstream/balance/load.h"
#include "weft/v1/discovery.pb.h"

namespace weft::upstream {

// Endpoints that a request has already tried. Holds them, so that one that is freed cannot be
// mistaken for another. No memory of its own.
class Exclusions {
 public:
  static constexpr size_t kCapacity = 4;

  // False, and not added, if it is full: enough was tried.
  bool Add(EndpointRef endpoint);
  bool Contains(const Endpoint* endpoint) const {
    for (size_t i = 0; i < size_; ++i) {
      if (endpoints_[i].get() == endpoint) return true;
    }
    return false;
  }
  size_t size() const { return size_; }

 private:
  std::array<EndpointRef, kCapacity> endpoints_;
  size_t size_ = 0;
};

// One Endpoints resource in one worker. One thread; takes no locks, and Pick() allocates nothing.
class EndpointSet {
 public:
  // `name` is the resource's name, "shop/tea.1:80".
  explicit EndpointSet(std::string name, Clock clock = &io::MonotonicNow);
  EndpointSet(const EndpointSet&) = delete;
  EndpointSet& operator=(const EndpointSet&) = delete;
  // Retires all endpoints.
  ~EndpointSet();

  // Takes over what ParseEndpoints() made (once, for all workers). Endpoints that stay keep their
  // statistics and their attachment; those that are gone are retired, and live on while requests
  // hold them.
  void Update(const EndpointConfigs& configs);

  // Both steps in one. InvalidArgument names endpoint and field; then nothing changes.
  absl::Status Update(const weft::v1::Endpoints& endpoints);

  // Chooses an endpoint by `method` (UNSPECIFIED is LEAST_TIME) and counts the request in. Empty if
  // there is no endpoint that is not in `excluded`; to go back to one that was tried is for the
  // caller to decide.
  //
  // Ready endpoints come before draining ones, and among each, those that are not ejected before
  // those that are: if all ready ones are ejected they are all used. One that has joined lately is
  // passed over at first (Endpoint::Warm), unless there is no other.
  //
  //   LEAST_TIME..., RANDOM_TWO...TIME...  the cheaper of two random ones by Endpoint::Cost()
  //   RANDOM_TWO, RANDOM_TWO_LEAST_CONN    the one with fewer requests in flight of two random ones
  //   LEAST_CONN                           the fewest in flight among up to 64, from a random one
  //   on ROUND_ROBIN, RANDOM                  each in turn; any
  Load Pick(weft::v1::LbMethod method, io::Nanos now, route::Random& random,
            const Exclusions& excluded = {});

  // There is an endpoint, ready or draining: what PickLiveBackend() asks.
  bool HasLive() const { return !endpoints_.empty(); }

  const std::string& name() const { return name_; }
  // The ready ones first.
  std::span<const EndpointRef> endpoints() const { return endpoints_; }
  size_t ready() const { return ready_; }

 private:
  struct Choice;
  using Tier = std::span<const EndpointRef>;

  Endpoint* PickFrom(Tier tier, const Choice& choice, route::Random& random);
  Endpoint* PickInTurn(Tier tier, const Choice& choice, route::Random& random);

  const std::string name_;
  const Clock clock_;
  std::vector<EndpointRef> endpoints_;  // ready ones, then draining ones
  size_t ready_ = 0;
  std::optional<uint64_t>
      turn_;  // of round robin; begins at a random one, lest all clients go in step
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_ENDPOINT_SET_H_
