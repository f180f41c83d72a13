#include "control-plane/store/kinds.h"

#include <cstdlib>

namespace weft::store {
namespace {

struct Entry {
  Kind kind;
  std::string_view group;           // empty: core
  std::string_view oldest, newest;  // versions, both included
  std::string_view supported;       // in words
};

// The versions of a group share a prefix and differ in the last digit, so that comparing text is
// right.
constexpr Entry kEntries[] = {
    {Kind::kNamespace, "", "v1", "v1", "v1"},
    {Kind::kPod, "", "v1", "v1", "v1"},
    {Kind::kService, "", "v1", "v1", "v1"},
    {Kind::kEndpointSlice, "discovery.k8s.io", "v1", "v1", "discovery.k8s.io/v1"},
    {Kind::kEndpoints, "", "v1", "v1", "v1"},
    {Kind::kServiceAccount, "", "v1", "v1", "v1"},
    {Kind::kTrafficSplit, "split.smi-spec.io", "v1alpha1", "v1alpha4",
     "split.smi-spec.io/v1alpha1 to v1alpha4"},
    {Kind::kHttpRouteGroup, "specs.smi-spec.io", "v1alpha3", "v1alpha4",
     "specs.smi-spec.io/v1alpha3 and v1alpha4"},
    {Kind::kTcpRoute, "specs.smi-spec.io", "v1alpha3", "v1alpha4",
     "specs.smi-spec.io/v1alpha3 and v1alpha4"},
    {Kind::kMeshConfig, "weft.io", "v1", "v1", "weft.io/v1"},
};
static_assert(std::size(kEntries) == kKindCount);

}  // namespace

KindLookup LookUpKind(std::string_view api_version, std::string_view kind) {
  std::string_view group, version = api_version;
  if (size_t slash = api_version.find('/'); slash != std::string_view::npos) {
    group = api_version.substr(0, slash);
    version = api_version.substr(slash + 1);
  }
  for (const Entry& entry : kEntries) {
    if (group != entry.group || kind != KindName(entry.kind)) continue;
    bool known =
        version.size() == entry.oldest.size() && version >= entry.oldest && version <= entry.newest;
    return {known ? Support::kYes : Support::kUnknownVersion, entry.kind};
  }
  return {};
}

std::string_view SupportedVersions(Kind kind) { return kEntries[static_cast<int>(kind)].supported; }

std::unique_ptr<google::protobuf::Message> NewMessage(Kind kind) {
  switch (kind) {
    case Kind::kNamespace:
      return std::make_unique<k8s::Namespace>();
    case Kind::kPod:
      return std::make_unique<k8s::Pod>();
    case Kind::kService:
      return std::make_unique<k8s::Service>();
    case Kind::kEndpointSlice:
      return std::make_unique<k8s::EndpointSlice>();
    case Kind::kEndpoints:
      return std::make_unique<k8s::Endpoints>();
    case Kind::kServiceAccount:
      return std::make_unique<k8s::ServiceAccount>();
    case Kind::kTrafficSplit:
      return std::make_unique<k8s::TrafficSplit>();
    case Kind::kHttpRouteGroup:
      return std::make_unique<k8s::HttpRouteGroup>();
    case Kind::kTcpRoute:
      return std::make_unique<k8s::TcpRoute>();
    case Kind::kMeshConfig:
      return std::make_unique<k8s::MeshConfig>();
  }
  std::abort();
}

// Every message of a kind has its metadata as field 1.

const k8s::ObjectMeta& MetaOf(const google::protobuf::Message& object) {
  const google::protobuf::FieldDescriptor* field = object.GetDescriptor()->FindFieldByNumber(1);
  return static_cast<const k8s::ObjectMeta&>(object.GetReflection()->GetMessage(object, field));
}

k8s::ObjectMeta& MutableMetaOf(google::protobuf::Message& object) {
  const google::protobuf::FieldDescriptor* field = object.GetDescriptor()->FindFieldByNumber(1);
  return static_cast<k8s::ObjectMeta&>(*object.GetReflection()->MutableMessage(&object, field));
}

}  // namespace weft::store
