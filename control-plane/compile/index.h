// The mesh's objects with the ways into them that compiling needs: by address, by selector, by
// owner.
#ifndef WEFT_CONTROL_PLANE_COMPILE_INDEX_H_
#define WEFT_CONTROL_PLANE_COMPILE_INDEX_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "control-plane/compile/fact.h"
#include "control-plane/store/store.h"

namespace weft::compile {

// "namespace/name".
std::string Qualified(std::string_view name_space, std::string_view name);
std::string Qualified(const k8s::ObjectMeta& meta);

// Whether `a` came before `b`: by creation time, then by namespace and name. An object without a
// creation time (manifests in a directory have none) comes after those with one.
bool IsOlder(const k8s::ObjectMeta& a, const k8s::ObjectMeta& b);

// Whether the service's selector chooses the pod. A service without a selector chooses none.
bool Selects(const k8s::Service& service, const k8s::Pod& pod);

// The service's cluster IPs in canonical form, the primary one first; empty for headless services.
std::vector<std::string> ClusterIps(const k8s::Service& service);

// The service an EndpointSlice belongs to, by its label; empty if it has none.
std::string_view ServiceOfSlice(const k8s::EndpointSlice& slice);

// The root service a TrafficSplit names, without a DNS suffix of its own namespace. Empty if the
// reference is empty or leads to another namespace.
std::string LocalServiceName(std::string_view reference, std::string_view name_space,
                             std::string_view cluster_domain);

// Not thread-safe; the compiler guards it. Pointers are valid until the next Apply.
class Index {
 public:
  explicit Index(std::string cluster_domain, bool awaits_pods = false)
      : cluster_domain_(std::move(cluster_domain)), awaits_pods_(awaits_pods) {}

  // Takes objects in and out; returns the facts whose answers may have changed.
  absl::flat_hash_set<Fact> Apply(std::vector<store::Update> updates);

  const store::Store& store() const { return store_; }
  std::string_view cluster_domain() const { return cluster_domain_; }
  // As Compiler::Options says.
  bool awaits_pods() const { return awaits_pods_; }

  // The services whose cluster IP the (canonical) address is, the oldest first.
  std::vector<const k8s::Service*> ServicesAt(std::string_view ip) const;

  // The pod whose own address it is (the newest, should two claim it); nullptr if none. A pod on
  // the host's network has no address of its own.
  const k8s::Pod* PodAt(std::string_view ip) const;

  // The service's slices, by name.
  std::vector<const k8s::EndpointSlice*> SlicesOf(std::string_view name_space,
                                                  std::string_view service) const;

  // The pods that the service's selector chooses, by name.
  std::vector<const k8s::Pod*> PodsOf(const k8s::Service& service) const;

  // The services whose selector chooses the pod, by name.
  std::vector<const k8s::Service*> ServicesOf(const k8s::Pod& pod) const;

  // The splits whose root the service is, the oldest first.
  std::vector<const k8s::TrafficSplit*> SplitsOf(std::string_view name_space,
                                                 std::string_view service) const;

 private:
  // Sets of names under a key of two parts (a namespace and a label, address or service).
  using NameSets = absl::flat_hash_map<std::string, absl::btree_set<std::string>>;
  using Facts = absl::flat_hash_set<Fact>;

  void Take(const store::ObjectKey& key, const google::protobuf::Message& object, bool present,
            Facts& touched);
  void TakePod(const k8s::Pod& pod, bool present, Facts& touched);
  void TakeService(const k8s::Service& service, bool present, Facts& touched);

  const std::string cluster_domain_;
  const bool awaits_pods_;
  store::Store store_;
  NameSets services_by_address_;   // ip -> "namespace/name"
  NameSets pods_by_address_;       // ip -> "namespace/name"
  NameSets pods_by_label_;         // namespace, label=value -> names
  NameSets services_by_selector_;  // namespace, first label=value of the selector -> names
  NameSets slices_by_service_;     // "namespace/service" -> names
  NameSets splits_by_root_;        // "namespace/service" -> names
};

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_INDEX_H_
