// What the control plane serves: named, typed, versioned resources, each serialized once.
#ifndef WEFT_CONTROL_PLANE_COMPILE_RESOURCE_H_
#define WEFT_CONTROL_PLANE_COMPILE_RESOURCE_H_

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "google/protobuf/message_lite.h"

namespace weft::compile {

// The messages of weft/v1/discovery.proto that are served as resources.
enum class ResourceType { kWorkload, kDestination, kEndpoints, kTrustBundle, kMeshSettings };

inline constexpr ResourceType kResourceTypes[] = {
    ResourceType::kWorkload, ResourceType::kDestination, ResourceType::kEndpoints,
    ResourceType::kTrustBundle, ResourceType::kMeshSettings};

// "type.googleapis.com/weft.v1.Destination".
std::string_view TypeUrl(ResourceType type);

// "Destination".
std::string_view TypeName(ResourceType type);

// The type of an xDS type URL; nullopt if we serve no such type.
std::optional<ResourceType> ParseTypeUrl(std::string_view url);

// Names one resource. A value: hashable and ordered.
struct ResourceKey {
  ResourceType type;
  std::string name;

  auto operator<=>(const ResourceKey&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const ResourceKey& key) {
    return H::combine(std::move(h), key.type, key.name);
  }
};

// One resource as it is sent. Immutable once made; shared between all streams that send it.
struct Resource {
  ResourceKey key;
  // A hash of the content: equal for equal content, also after a restart and on other replicas.
  std::string version;
  // The weft.v1 message, serialized deterministically.
  std::string bytes;
};

// Serializes `message` and computes the version.
Resource MakeResource(ResourceKey key, const google::protobuf::MessageLite& message);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_RESOURCE_H_
