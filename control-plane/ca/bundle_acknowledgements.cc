#include "control-plane/ca/bundle_acknowledgements.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control-plane/discovery/stream.h"
#include "weft/v1/discovery.pb.h"

namespace weft::ca {

void CountAcknowledgements(const discovery::Hub& hub, const Authority& authority,
                           ReplicaReport& report) {
  const std::vector<std::string> roots = authority.RootsPem();
  const compile::ResourceKey key{compile::ResourceType::kTrustBundle, authority.trust_domain()};
  // Streams share what they were sent: it is looked into once.
  const compile::Resource* last = nullptr;
  bool last_is_current = false;
  report.sidecars = report.acknowledged = 0;
  report.waiting.clear();
  for (const std::shared_ptr<discovery::Stream>& stream : hub.Streams()) {
    const std::optional<discovery::ResourcePtr> held = stream->Held(key);
    if (!held.has_value()) continue;
    ++report.sidecars;
    bool current = false;
    if (*held != nullptr) {
      if (held->get() != last) {
        v1::TrustBundle bundle;
        last = held->get();
        last_is_current =
            bundle.ParseFromString((*held)->bytes) && std::ranges::equal(bundle.roots_pem(), roots);
      }
      current = last_is_current;
    }
    if (current) {
      ++report.acknowledged;
    } else if (report.waiting.size() < kMaxNamed) {
      report.waiting.push_back(stream->workload());
    }
  }
  std::ranges::sort(report.waiting);
}

}  // namespace weft::ca
