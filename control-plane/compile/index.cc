#include "control-plane/compile/index.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "control-plane/compile/address.h"
#include "control-plane/compile/pod.h"

namespace weft::compile {
namespace {

using store::Kind;

std::pair<std::string, std::string> SplitQualified(const std::string& qualified) {
  size_t slash = qualified.find('/');
  return {qualified.substr(0, slash), qualified.substr(slash + 1)};
}

// A line feed is in no namespace, so that the two parts cannot run into one another.
std::string LabelKey(const std::string& name_space, const std::string& label,
                     const std::string& value) {
  return absl::StrCat(name_space, "\n", label, "=", value);
}

// The label under which a service's selector is filed: the first by name, since a protobuf map has
// no order of its own.
std::string SelectorKey(const k8s::Service& service) {
  const auto& selector = service.spec().selector();
  auto first = std::ranges::min_element(
      selector, [](const auto& a, const auto& b) { return a.first < b.first; });
  return LabelKey(service.metadata().namespace_(), first->first, first->second);
}

void Set(absl::flat_hash_map<std::string, absl::btree_set<std::string>>& sets,
         const std::string& key, const std::string& name, bool present) {
  if (present) {
    sets[key].insert(name);
    return;
  }
  auto it = sets.find(key);
  if (it == sets.end()) return;
  it->second.erase(name);
  if (it->second.empty()) sets.erase(it);
}

}  // namespace

std::string Qualified(std::string_view name_space, std::string_view name) {
  return absl::StrCat(ToAbsl(name_space), "/", ToAbsl(name));
}

std::string Qualified(const k8s::ObjectMeta& meta) {
  return Qualified(meta.namespace_(), meta.name());
}

bool IsOlder(const k8s::ObjectMeta& a, const k8s::ObjectMeta& b) {
  auto rank = [](const k8s::ObjectMeta& meta) {
    return std::make_tuple(!meta.has_creation_timestamp(), meta.creation_timestamp().seconds(),
                           meta.creation_timestamp().nanos(), std::string_view(meta.namespace_()),
                           std::string_view(meta.name()));
  };
  return rank(a) < rank(b);
}

bool Selects(const k8s::Service& service, const k8s::Pod& pod) {
  const auto& labels = pod.metadata().labels();
  return !service.spec().selector().empty() &&
         service.metadata().namespace_() == pod.metadata().namespace_() &&
         std::ranges::all_of(service.spec().selector(), [&](const auto& wanted) {
           auto it = labels.find(wanted.first);
           return it != labels.end() && it->second == wanted.second;
         });
}

std::vector<std::string> ClusterIps(const k8s::Service& service) {
  std::vector<std::string> ips;
  auto add = [&](std::string_view ip) {
    std::optional<std::string> canonical = CanonicalIp(ip);  // "None" and "" are no addresses
    if (canonical && std::ranges::find(ips, *canonical) == ips.end()) {
      ips.push_back(*std::move(canonical));
    }
  };
  add(service.spec().cluster_ip());
  for (const std::string& ip : service.spec().cluster_ips()) add(ip);
  return ips;
}

std::string_view ServiceOfSlice(const k8s::EndpointSlice& slice) {
  auto it = slice.metadata().labels().find("kubernetes.io/service-name");
  return it == slice.metadata().labels().end() ? std::string_view() : std::string_view(it->second);
}

std::string LocalServiceName(std::string_view reference, std::string_view name_space,
                             std::string_view cluster_domain) {
  absl::string_view name = ToAbsl(reference);
  absl::ConsumeSuffix(&name, ".");
  bool qualified = absl::ConsumeSuffix(&name, absl::StrCat(".svc.", ToAbsl(cluster_domain))) ||
                   absl::ConsumeSuffix(&name, ".svc");
  if (qualified && !absl::ConsumeSuffix(&name, absl::StrCat(".", ToAbsl(name_space)))) return "";
  if (name.find('/') != absl::string_view::npos) return "";
  return std::string(name);
}

absl::flat_hash_set<Fact> Index::Apply(std::vector<store::Update> updates) {
  Facts touched;
  for (const store::Change& change : store_.Apply(std::move(updates))) {
    if (change.before != nullptr) Take(change.key, *change.before, /*present=*/false, touched);
    if (change.after != nullptr) Take(change.key, *change.after, /*present=*/true, touched);
  }
  return touched;
}

void Index::Take(const store::ObjectKey& key, const google::protobuf::Message& object, bool present,
                 Facts& touched) {
  const std::string qualified = Qualified(key.name_space, key.name);
  switch (key.kind) {
    case Kind::kPod:
      return TakePod(static_cast<const k8s::Pod&>(object), present, touched);
    case Kind::kService:
      return TakeService(static_cast<const k8s::Service&>(object), present, touched);
    case Kind::kEndpointSlice: {
      const auto& slice = static_cast<const k8s::EndpointSlice&>(object);
      const std::string service = Qualified(key.name_space, ServiceOfSlice(slice));
      Set(slices_by_service_, service, key.name, present);
      touched.insert({FactKind::kEndpoints, service});
      return;
    }
    case Kind::kEndpoints:
      touched.insert({FactKind::kEndpoints, qualified});
      return;
    case Kind::kTrafficSplit: {
      const auto& split = static_cast<const k8s::TrafficSplit&>(object);
      const std::string root =
          Qualified(key.name_space,
                    LocalServiceName(split.spec().service(), key.name_space, cluster_domain_));
      Set(splits_by_root_, root, key.name, present);
      touched.insert({FactKind::kSplits, root});
      return;
    }
    case Kind::kHttpRouteGroup:
      touched.insert({FactKind::kRouteGroup, qualified});
      return;
    case Kind::kTcpRoute:
      touched.insert({FactKind::kTcpRoute, qualified});
      return;
    case Kind::kMeshConfig:
      touched.insert({FactKind::kMeshConfig, ""});
      return;
    case Kind::kNamespace:
    case Kind::kServiceAccount:
      return;  // no resource is made of them
  }
}

void Index::TakePod(const k8s::Pod& pod, bool present, Facts& touched) {
  const std::string qualified = Qualified(pod.metadata());
  touched.insert({FactKind::kPod, qualified});
  touched.insert({FactKind::kServicesOfPod, qualified});
  const bool has_own_address = !pod.spec().host_network() && !IsFinished(pod);
  for (const std::string& ip : AddressesOf(pod)) {
    if (has_own_address) Set(pods_by_address_, ip, qualified, present);
    touched.insert({FactKind::kAddress, ip});
  }
  for (const auto& [label, value] : pod.metadata().labels()) {
    Set(pods_by_label_, LabelKey(pod.metadata().namespace_(), label, value), pod.metadata().name(),
        present);
  }
  for (const k8s::Service* service : ServicesOf(pod)) {
    touched.insert({FactKind::kEndpoints, Qualified(service->metadata())});
  }
}

void Index::TakeService(const k8s::Service& service, bool present, Facts& touched) {
  const std::string qualified = Qualified(service.metadata());
  touched.insert({FactKind::kService, qualified});
  touched.insert({FactKind::kEndpoints, qualified});
  for (const std::string& ip : ClusterIps(service)) {
    Set(services_by_address_, ip, qualified, present);
    touched.insert({FactKind::kAddress, ip});
  }
  if (service.spec().selector().empty()) return;
  Set(services_by_selector_, SelectorKey(service), service.metadata().name(), present);
  for (const k8s::Pod* pod : PodsOf(service)) {
    touched.insert({FactKind::kServicesOfPod, Qualified(pod->metadata())});
  }
}

std::vector<const k8s::Service*> Index::ServicesAt(std::string_view ip) const {
  std::vector<const k8s::Service*> services;
  auto it = services_by_address_.find(ToAbsl(ip));
  if (it == services_by_address_.end()) return services;
  for (const std::string& qualified : it->second) {
    auto [name_space, name] = SplitQualified(qualified);
    if (const auto* service = store_.Find<k8s::Service>(name_space, name)) {
      services.push_back(service);
    }
  }
  std::ranges::sort(services, [](const k8s::Service* a, const k8s::Service* b) {
    return IsOlder(a->metadata(), b->metadata());
  });
  return services;
}

const k8s::Pod* Index::PodAt(std::string_view ip) const {
  auto it = pods_by_address_.find(ToAbsl(ip));
  if (it == pods_by_address_.end()) return nullptr;
  const k8s::Pod* newest = nullptr;
  for (const std::string& qualified : it->second) {
    auto [name_space, name] = SplitQualified(qualified);
    const auto* pod = store_.Find<k8s::Pod>(name_space, name);
    if (pod == nullptr) continue;
    // An address may be given to a new pod before the old one's object is gone.
    if (newest == nullptr || IsOlder(newest->metadata(), pod->metadata())) newest = pod;
  }
  return newest;
}

std::vector<const k8s::EndpointSlice*> Index::SlicesOf(std::string_view name_space,
                                                       std::string_view service) const {
  std::vector<const k8s::EndpointSlice*> slices;
  auto it = slices_by_service_.find(Qualified(name_space, service));
  if (it == slices_by_service_.end()) return slices;
  for (const std::string& name : it->second) {
    if (const auto* slice = store_.Find<k8s::EndpointSlice>(name_space, name)) {
      slices.push_back(slice);
    }
  }
  return slices;
}

std::vector<const k8s::Pod*> Index::PodsOf(const k8s::Service& service) const {
  std::vector<const k8s::Pod*> pods;
  // The shortest list of pods that have one of the labels holds all that have every one.
  const absl::btree_set<std::string>* shortest = nullptr;
  for (const auto& [label, value] : service.spec().selector()) {
    auto it = pods_by_label_.find(LabelKey(service.metadata().namespace_(), label, value));
    if (it == pods_by_label_.end()) return pods;
    if (shortest == nullptr || it->second.size() < shortest->size()) shortest = &it->second;
  }
  if (shortest == nullptr) return pods;
  for (const std::string& name : *shortest) {
    const auto* pod = store_.Find<k8s::Pod>(service.metadata().namespace_(), name);
    if (pod != nullptr && Selects(service, *pod)) pods.push_back(pod);
  }
  return pods;
}

std::vector<const k8s::Service*> Index::ServicesOf(const k8s::Pod& pod) const {
  std::vector<const k8s::Service*> services;
  for (const auto& [label, value] : pod.metadata().labels()) {
    auto it = services_by_selector_.find(LabelKey(pod.metadata().namespace_(), label, value));
    if (it == services_by_selector_.end()) continue;
    for (const std::string& name : it->second) {
      const auto* service = store_.Find<k8s::Service>(pod.metadata().namespace_(), name);
      if (service != nullptr && Selects(*service, pod)) services.push_back(service);
    }
  }
  std::ranges::sort(services, {}, [](const k8s::Service* service) -> std::string_view {
    return service->metadata().name();
  });
  return services;
}

std::vector<const k8s::TrafficSplit*> Index::SplitsOf(std::string_view name_space,
                                                      std::string_view service) const {
  std::vector<const k8s::TrafficSplit*> splits;
  auto it = splits_by_root_.find(Qualified(name_space, service));
  if (it == splits_by_root_.end()) return splits;
  for (const std::string& name : it->second) {
    if (const auto* split = store_.Find<k8s::TrafficSplit>(name_space, name)) {
      splits.push_back(split);
    }
  }
  std::ranges::sort(splits, [](const k8s::TrafficSplit* a, const k8s::TrafficSplit* b) {
    return IsOlder(a->metadata(), b->metadata());
  });
  return splits;
}

}  // namespace weft::compile
