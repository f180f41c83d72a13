// Typed objects of Kubernetes, SMI and Weft, and changes of them.
#ifndef WEFT_CONTROL_PLANE_STORE_OBJECT_H_
#define WEFT_CONTROL_PLANE_STORE_OBJECT_H_

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "google/protobuf/message.h"

namespace weft::store {

// The kinds of objects that the mesh reads; each has a message in api/k8s.
enum class Kind {
  kNamespace,
  kPod,
  kService,
  kEndpointSlice,
  kEndpoints,
  kServiceAccount,
  kTrafficSplit,
  kHttpRouteGroup,
  kTcpRoute,
  kMeshConfig,
};
inline constexpr int kKindCount = 10;

// The `kind:` of a manifest: "HTTPRouteGroup".
std::string_view KindName(Kind kind);

// Whether objects of the kind live in namespaces (Namespace and MeshConfig do not).
bool IsNamespaced(Kind kind);

// Names one object. `name_space` is empty for kinds outside of namespaces.
struct ObjectKey {
  Kind kind;
  std::string name_space;
  std::string name;

  auto operator<=>(const ObjectKey&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const ObjectKey& key) {
    return H::combine(std::move(h), key.kind, key.name_space, key.name);
  }

  // "TrafficSplit shop/tea", as findings and errors name it.
  std::string ToString() const;
};

// An object's message: k8s::Pod for Kind::kPod, and so on. Immutable, shared.
using ObjectPtr = std::shared_ptr<const google::protobuf::Message>;

// One object that came, changed (`object` set) or went (`object` null).
struct Update {
  ObjectKey key;
  ObjectPtr object;
};

}  // namespace weft::store

#endif  // WEFT_CONTROL_PLANE_STORE_OBJECT_H_
