// The types of resources that a sidecar asks for.
#ifndef WEFT_SIDECAR_DISCOVERY_RESOURCE_TYPE_H_
#define WEFT_SIDECAR_DISCOVERY_RESOURCE_TYPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::discovery {

// In the order in which a new stream asks for them: first who this sidecar is.
enum class ResourceType : uint8_t {
  kTrustBundle,
  kMeshSettings,
  kWorkload,
  kDestination,
  kEndpoints
};

inline constexpr std::array<std::string_view, 5> kTypeUrls = {
    "type.googleapis.com/weft.v1.TrustBundle", "type.googleapis.com/weft.v1.MeshSettings",
    "type.googleapis.com/weft.v1.Workload", "type.googleapis.com/weft.v1.Destination",
    "type.googleapis.com/weft.v1.Endpoints"};
inline constexpr size_t kTypes = kTypeUrls.size();

inline constexpr std::string_view kTypeUrlPrefix = "type.googleapis.com/weft.v1.";

inline std::string_view TypeUrl(ResourceType type) { return kTypeUrls[static_cast<size_t>(type)]; }
// "Destination".
inline std::string_view TypeName(ResourceType type) {
  return TypeUrl(type).substr(kTypeUrlPrefix.size());
}
inline std::optional<ResourceType> TypeOfUrl(std::string_view url) {
  for (size_t i = 0; i < kTypes; ++i) {
    if (kTypeUrls[i] == url) return static_cast<ResourceType>(i);
  }
  return std::nullopt;
}

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_RESOURCE_TYPE_H_
