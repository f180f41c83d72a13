#include "sidecar/upstream/balance/endpoint_set.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "sidecar/upstream/balance/endpoint_key.h"

namespace weft::upstream {

bool Exclusions::Add(EndpointRef endpoint) {
  if (size_ == kCapacity) return false;
  endpoints_[size_++] = std::move(endpoint);
  return true;
}

// What one Pick() looks for.
struct EndpointSet::Choice {
  weft::v1::LbMethod method;
  io::Nanos now;
  const Exclusions& excluded;
  bool any;  // also those that are ejected or not warm
  route::Random& random;

  bool Eligible(const Endpoint* endpoint) const {
    return !excluded.Contains(endpoint) &&
           (any || (endpoint->ejection().Allows(now) && endpoint->Warm(now, random)));
  }
};

namespace {

// An endpoint of `tier` for which `eligible` holds, each with the same probability; null if there
// is none. Tries a few at random, for mostly nearly all are eligible, before it looks at every one.
template <typename Eligible>
Endpoint* PickAny(std::span<const EndpointRef> tier, route::Random& random,
                  const Eligible& eligible) {
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    Endpoint* endpoint = tier[random.Below(tier.size())].get();
    if (eligible(endpoint)) return endpoint;
  }
  Endpoint* picked = nullptr;
  uint64_t seen = 0;
  for (const EndpointRef& endpoint : tier) {
    if (eligible(endpoint.get()) && random.Below(++seen) == 0) picked = endpoint.get();
  }
  return picked;
}

// The fewest requests in flight. Looking at all would make a request cost more the larger the
// service is.
template <typename Eligible>
Endpoint* PickLeastLoaded(std::span<const EndpointRef> tier, route::Random& random,
                          const Eligible& eligible) {
  constexpr size_t kLooks = 64;
  Endpoint* best = nullptr;
  size_t at = random.Below(tier.size());
  size_t looks = 0;
  for (size_t i = 0; i < tier.size() && looks < kLooks; ++i) {
    Endpoint* endpoint = tier[at].get();
    if (++at == tier.size()) at = 0;
    if (!eligible(endpoint)) continue;
    ++looks;
    if (best == nullptr || endpoint->in_flight() < best->in_flight()) best = endpoint;
  }
  return best;
}

// The better of two different ones; `worse(a, b)` says that b should be taken instead of a.
template <typename Eligible, typename Worse>
Endpoint* PickBetterOfTwo(std::span<const EndpointRef> tier, route::Random& random,
                          const Eligible& eligible, const Worse& worse) {
  const size_t first_index = random.Below(tier.size());
  Endpoint* first = tier[first_index].get();
  size_t second_index = first_index + 1 + random.Below(tier.size() - 1);
  if (second_index >= tier.size()) second_index -= tier.size();
  Endpoint* second = tier[second_index].get();
  if (!eligible(first)) first = PickAny(tier, random, eligible);
  if (first == nullptr) return nullptr;
  if (second == first || !eligible(second)) {
    second = PickAny(tier, random, [&](const Endpoint* endpoint) {
      return endpoint != first && eligible(endpoint);
    });
  }
  return second != nullptr && worse(*first, *second) ? second : first;
}

}  // namespace

EndpointSet::EndpointSet(std::string name, Clock clock) : name_(std::move(name)), clock_(clock) {}

EndpointSet::~EndpointSet() {
  const std::vector<EndpointRef> endpoints = std::move(endpoints_);
  for (const EndpointRef& endpoint : endpoints) endpoint->Retire();
}

absl::Status EndpointSet::Update(const weft::v1::Endpoints& endpoints) {
  const absl::StatusOr<EndpointConfigs> configs = ParseEndpoints(name_, endpoints);
  if (!configs.ok()) return configs.status();
  Update(*configs);
  return absl::OkStatus();
}

void EndpointSet::Update(const EndpointConfigs& configs) {
  const bool joins = !endpoints_.empty();
  absl::flat_hash_map<EndpointKey, EndpointRef> old;
  old.reserve(endpoints_.size());
  for (EndpointRef& endpoint : endpoints_) {
    const EndpointKey key(endpoint->config());
    old.emplace(key, std::move(endpoint));
  }
  std::vector<EndpointRef> updated;
  updated.reserve(configs->size());
  for (const EndpointConfig& config : *configs) {
    const std::shared_ptr<const EndpointConfig> shared(configs, &config);
    if (const auto known = old.find(EndpointKey(config)); known != old.end()) {
      EndpointRef endpoint = std::move(known->second);
      old.erase(known);  // before its key's config goes
      endpoint->config_ = shared;
      updated.push_back(std::move(endpoint));
    } else {
      updated.push_back(EndpointRef(new Endpoint(shared)));
      if (joins) updated.back()->joined_ = clock_();
    }
  }
  const auto draining =
      std::stable_partition(updated.begin(), updated.end(), [](const EndpointRef& endpoint) {
        return endpoint->config().health == weft::v1::HEALTH_READY;
      });
  ready_ = draining - updated.begin();
  endpoints_ = std::move(updated);
  // Last, since attachments may do anything, look at this set included.
  for (const auto& [key, endpoint] : old) endpoint->Retire();
}

Load EndpointSet::Pick(weft::v1::LbMethod method, io::Nanos now, route::Random& random,
                       const Exclusions& excluded) {
  const Tier all = endpoints_;
  for (const Tier tier : {all.first(ready_), all.subspan(ready_)}) {
    if (tier.empty()) continue;
    for (const bool any : {false, true}) {
      Endpoint* endpoint = PickFrom(tier, {method, now, excluded, any, random}, random);
      if (endpoint != nullptr) return Load(EndpointRef(endpoint), now, clock_);
    }
  }
  return {};
}

Endpoint* EndpointSet::PickFrom(Tier tier, const Choice& choice, route::Random& random) {
  const auto eligible = [&](const Endpoint* endpoint) { return choice.Eligible(endpoint); };
  if (tier.size() == 1) {
    Endpoint* only = tier.front().get();
    return eligible(only) ? only : nullptr;
  }
  switch (choice.method) {
    case weft::v1::LB_METHOD_ROUND_ROBIN:
      return PickInTurn(tier, choice, random);
    case weft::v1::LB_METHOD_RANDOM:
      return PickAny(tier, random, eligible);
    case weft::v1::LB_METHOD_LEAST_CONN:
      return PickLeastLoaded(tier, random, eligible);
    case weft::v1::LB_METHOD_RANDOM_TWO:
    case weft::v1::LB_METHOD_RANDOM_TWO_LEAST_CONN:
      return PickBetterOfTwo(tier, random, eligible, [](const Endpoint& a, const Endpoint& b) {
        return b.in_flight() < a.in_flight();
      });
    default:
      return PickBetterOfTwo(tier, random, eligible, [&](const Endpoint& a, const Endpoint& b) {
        return b.Cost(choice.method, choice.now) < a.Cost(choice.method, choice.now);
      });
  }
}

Endpoint* EndpointSet::PickInTurn(Tier tier, const Choice& choice, route::Random& random) {
  if (!turn_.has_value()) turn_ = random();
  for (size_t i = 0; i < tier.size(); ++i) {
    Endpoint* endpoint = tier[(*turn_)++ % tier.size()].get();
    if (choice.Eligible(endpoint)) return endpoint;
  }
  return nullptr;
}

}  // namespace weft::upstream
