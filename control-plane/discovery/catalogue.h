// Where discovery takes resources from: the compiler, seen as far as discovery needs it.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_CATALOGUE_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_CATALOGUE_H_

#include <memory>
#include <optional>
#include <string_view>

#include "base/spiffe_id.h"
#include "control-plane/compile/resource.h"

namespace weft::discovery {

using ResourcePtr = std::shared_ptr<const compile::Resource>;

// Thread-safe. Whoever implements it announces changes of resources through Hub::OnChanged, for
// every key that Get was called with, until Release.
class Catalogue {
 public:
  virtual ~Catalogue() = default;

  // The resource as it is now, or nullptr if there is none of that name.
  virtual ResourcePtr Get(const compile::ResourceKey& key) = 0;

  // No stream is interested in the key any more. Must not call Hub::OnChanged.
  virtual void Release(const compile::ResourceKey& key) = 0;

  // The identity of the pod "namespace/pod", nullopt if it is not known.
  virtual std::optional<SpiffeId> IdentityOf(std::string_view workload) const = 0;
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_CATALOGUE_H_
