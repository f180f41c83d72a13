#include "control-plane/compile/mesh_namespaces.h"

#include "absl/container/btree_set.h"
#include "control-plane/compile/pod.h"

namespace weft::compile {
namespace {

using Words = google::protobuf::Map<std::string, std::string>;

bool AsksForSidecars(const Words& words) {
  const auto ours = words.find("weft.io/inject");
  if (ours != words.end() && ours->second == "enabled") return true;
  const auto nginx = words.find("injector.nsm.nginx.com/auto-inject");
  return nginx != words.end() && (nginx->second == "enabled" || nginx->second == "true");
}

}  // namespace

std::vector<std::string> MeshNamespaces(const store::Store& store) {
  absl::btree_set<std::string> names;
  store.ForEach<k8s::Namespace>("", [&](const k8s::Namespace& name_space) {
    const k8s::ObjectMeta& meta = name_space.metadata();
    if (AsksForSidecars(meta.annotations()) || AsksForSidecars(meta.labels())) {
      names.insert(meta.name());
    }
  });
  store.ForEach<k8s::Pod>("", [&](const k8s::Pod& pod) {
    if (!names.contains(pod.metadata().namespace_()) && IsMeshed(pod)) {
      names.insert(pod.metadata().namespace_());
    }
  });
  return {names.begin(), names.end()};
}

}  // namespace weft::compile
