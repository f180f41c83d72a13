// Which message and which API groups belong to a kind of object.
#ifndef WEFT_CONTROL_PLANE_STORE_KINDS_H_
#define WEFT_CONTROL_PLANE_STORE_KINDS_H_

#include <memory>
#include <optional>
#include <string_view>

#include "control-plane/store/object.h"
#include "k8s/core.pb.h"
#include "k8s/mesh_config.pb.h"
#include "k8s/meta.pb.h"
#include "k8s/smi.pb.h"

namespace weft::store {

// Whether we read objects of an apiVersion and kind.
enum class Support {
  kYes,
  kUnknownKind,     // somebody else's object
  kUnknownVersion,  // our kind in a version that we do not know
};

struct KindLookup {
  Support support = Support::kUnknownKind;
  Kind kind = Kind::kPod;  // unless kUnknownKind
};

// Finds the kind of a manifest: LookUpKind("split.smi-spec.io/v1alpha3", "TrafficSplit").
KindLookup LookUpKind(std::string_view api_version, std::string_view kind);

// The versions we read, for messages: "split.smi-spec.io/v1alpha1 ... v1alpha4".
std::string_view SupportedVersions(Kind kind);

// An empty message of the kind.
std::unique_ptr<google::protobuf::Message> NewMessage(Kind kind);

// The metadata of an object, whatever its kind.
const k8s::ObjectMeta& MetaOf(const google::protobuf::Message& object);
k8s::ObjectMeta& MutableMetaOf(google::protobuf::Message& object);

// The kind of a message type, at compile time.
template <typename T>
struct KindOf;
template <>
struct KindOf<k8s::Namespace> {
  static constexpr Kind value = Kind::kNamespace;
};
template <>
struct KindOf<k8s::Pod> {
  static constexpr Kind value = Kind::kPod;
};
template <>
struct KindOf<k8s::Service> {
  static constexpr Kind value = Kind::kService;
};
template <>
struct KindOf<k8s::EndpointSlice> {
  static constexpr Kind value = Kind::kEndpointSlice;
};
template <>
struct KindOf<k8s::Endpoints> {
  static constexpr Kind value = Kind::kEndpoints;
};
template <>
struct KindOf<k8s::ServiceAccount> {
  static constexpr Kind value = Kind::kServiceAccount;
};
template <>
struct KindOf<k8s::TrafficSplit> {
  static constexpr Kind value = Kind::kTrafficSplit;
};
template <>
struct KindOf<k8s::HttpRouteGroup> {
  static constexpr Kind value = Kind::kHttpRouteGroup;
};
template <>
struct KindOf<k8s::TcpRoute> {
  static constexpr Kind value = Kind::kTcpRoute;
};
template <>
struct KindOf<k8s::MeshConfig> {
  static constexpr Kind value = Kind::kMeshConfig;
};

}  // namespace weft::store

#endif  // WEFT_CONTROL_PLANE_STORE_KINDS_H_
