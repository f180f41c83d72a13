#include "control-plane/store/object.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::store {

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kPod:
      return "Pod";
    case Kind::kService:
      return "Service";
    case Kind::kEndpointSlice:
      return "EndpointSlice";
    case Kind::kEndpoints:
      return "Endpoints";
    case Kind::kServiceAccount:
      return "ServiceAccount";
    case Kind::kTrafficSplit:
      return "TrafficSplit";
    case Kind::kHttpRouteGroup:
      return "HTTPRouteGroup";
    case Kind::kTcpRoute:
      return "TCPRoute";
    case Kind::kMeshConfig:
      return "MeshConfig";
  }
  return "?";
}

bool IsNamespaced(Kind kind) { return kind != Kind::kNamespace && kind != Kind::kMeshConfig; }

std::string ObjectKey::ToString() const {
  return absl::StrCat(ToAbsl(KindName(kind)), " ", name_space, name_space.empty() ? "" : "/", name);
}

}  // namespace weft::store
