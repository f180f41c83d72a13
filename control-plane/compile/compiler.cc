#include "control-plane/compile/compiler.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "control-plane/compile/check.h"
#include "control-plane/compile/destination.h"
#include "control-plane/compile/endpoints.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/inspect.h"
#include "control-plane/compile/mesh_namespaces.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/settings.h"
#include "control-plane/compile/view.h"
#include "control-plane/compile/workload.h"

namespace weft::compile {

class Compiler::State {
 public:
  using ResourcePtr = std::shared_ptr<const Resource>;
  using Facts = absl::flat_hash_set<Fact>;

  explicit State(Options options)
      : trust_domain_(std::move(options.trust_domain)),
        index_(std::move(options.cluster_domain), options.awaits_pods) {}

  ResourcePtr Get(const ResourceKey& key) {
    absl::MutexLock lock(&mutex_);
    auto it = handed_out_.find(key);
    if (it != handed_out_.end()) return it->second.resource;
    Entry& entry = handed_out_[key];
    Recompute(key, entry);
    return entry.resource;
  }

  void Release(const ResourceKey& key) {
    absl::MutexLock lock(&mutex_);
    auto it = handed_out_.find(key);
    if (it == handed_out_.end()) return;
    Forget(key, it->second.facts);
    handed_out_.erase(it);
  }

  void SetListener(Listener listener) {
    absl::MutexLock lock(&mutex_);
    listener_ = std::make_shared<const Listener>(std::move(listener));
  }

  void SetTrustBundle(const weft::v1::TrustBundle& bundle) {
    std::vector<ResourceKey> changed;
    std::shared_ptr<const Listener> listener;
    {
      absl::MutexLock lock(&mutex_);
      trust_bundles_[bundle.trust_domain()] = bundle;
      changed = Touch({{FactKind::kTrustBundle, bundle.trust_domain()}});
      listener = listener_;
    }
    Announce(listener, changed);
  }

  void Apply(std::vector<store::Update> updates) {
    std::vector<ResourceKey> changed;
    std::shared_ptr<const Listener> listener;
    {
      absl::MutexLock lock(&mutex_);
      Facts touched = index_.Apply(std::move(updates));
      ++revision_;
      findings_.reset();
      endpoint_count_.reset();
      changed = Touch(touched);
      listener = listener_;
    }
    Announce(listener, changed);
  }

  std::optional<SpiffeId> Identity(std::string_view workload) const {
    const size_t slash = workload.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    absl::MutexLock lock(&mutex_);
    const auto* pod =
        index_.store().Find<k8s::Pod>(workload.substr(0, slash), workload.substr(slash + 1));
    if (pod == nullptr) return std::nullopt;
    return compile::IdentityOf(*pod, trust_domain_);
  }

  // Calls `read(index, view)` with the mesh held still.
  template <typename Reader>
  auto Read(Reader read) const {
    absl::MutexLock lock(&mutex_);
    return read(index_, View(index_, trust_domain_, nullptr));
  }

  std::vector<weft::v1::Finding> Findings() const {
    absl::MutexLock lock(&mutex_);
    if (!findings_) {
      FindingSink sink;
      CheckMesh(index_, View(index_, trust_domain_, nullptr), sink);
      findings_ = sink.Take();
      std::ranges::stable_sort(*findings_, {}, [](const weft::v1::Finding& finding) {
        return std::make_pair(std::string_view(finding.object()),
                              std::string_view(finding.field()));
      });
    }
    return *findings_;
  }

  uint64_t Revision() const {
    absl::MutexLock lock(&mutex_);
    return revision_;
  }

  Counts GetCounts() const {
    absl::MutexLock lock(&mutex_);
    if (!endpoint_count_) {
      endpoint_count_ = CountEndpoints(index_, View(index_, trust_domain_, nullptr));
    }
    const store::Store& store = index_.store();
    return {.services = static_cast<uint32_t>(store.Count(store::Kind::kService)),
            .endpoints = *endpoint_count_,
            .splits = static_cast<uint32_t>(store.Count(store::Kind::kTrafficSplit)),
            .pods = static_cast<uint32_t>(store.Count(store::Kind::kPod)),
            .handed_out = static_cast<uint32_t>(handed_out_.size())};
  }

 private:
  struct Entry {
    ResourcePtr resource;  // nullptr: does not exist
    Facts facts;           // what it was made of, or why it does not exist
  };

  // Compiles the resource anew, and files it under the facts that it depends on now.
  void Recompute(const ResourceKey& key, Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Facts facts;
    entry.resource = Compile(key, facts);
    Forget(key, entry.facts);
    for (const Fact& fact : facts) dependents_[fact].insert(key);
    entry.facts = std::move(facts);
  }

  ResourcePtr Compile(const ResourceKey& key, Facts& facts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const View view(index_, trust_domain_, &facts);
    auto make = [&key](const auto& message) -> ResourcePtr {
      if (!message) return nullptr;
      return std::make_shared<const Resource>(MakeResource(key, *message));
    };
    switch (key.type) {
      case ResourceType::kWorkload:
        return make(CompileWorkload(view, key.name));
      case ResourceType::kDestination:
        return make(CompileDestination(view, key.name));
      case ResourceType::kEndpoints:
        return make(CompileEndpoints(view, key.name));
      case ResourceType::kTrustBundle: {
        facts.insert({FactKind::kTrustBundle, key.name});
        auto it = trust_bundles_.find(key.name);
        return make(it == trust_bundles_.end() ? nullptr : &it->second);
      }
      case ResourceType::kMeshSettings: {
        if (key.name != "default") return nullptr;
        FindingSink ignored;
        return make(std::make_optional(CompileSettings(view, ignored)));
      }
    }
    return nullptr;
  }

  void Forget(const ResourceKey& key, const Facts& facts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const Fact& fact : facts) {
      auto it = dependents_.find(fact);
      if (it == dependents_.end()) continue;
      it->second.erase(key);
      if (it->second.empty()) dependents_.erase(it);
    }
  }

  // Recomputes what depends on the facts; returns what came out different, in order.
  std::vector<ResourceKey> Touch(const Facts& touched) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    absl::flat_hash_set<ResourceKey> affected;
    for (const Fact& fact : touched) {
      auto it = dependents_.find(fact);
      if (it != dependents_.end()) affected.insert(it->second.begin(), it->second.end());
    }
    std::vector<ResourceKey> changed;
    for (const ResourceKey& key : affected) {
      Entry& entry = handed_out_.find(key)->second;
      const ResourcePtr before = entry.resource;
      Recompute(key, entry);
      const bool existed = before != nullptr;
      const bool exists = entry.resource != nullptr;
      if (existed && exists && before->version == entry.resource->version) {
        entry.resource = before;  // streams hold it already
      } else if (existed || exists) {
        changed.push_back(key);
      }
    }
    std::ranges::sort(changed);
    return changed;
  }

  static void Announce(const std::shared_ptr<const Listener>& listener,
                       const std::vector<ResourceKey>& changed) {
    if (!changed.empty() && listener != nullptr && *listener) (*listener)(changed);
  }

  const std::string trust_domain_;
  mutable absl::Mutex mutex_;
  Index index_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, weft::v1::TrustBundle> trust_bundles_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<ResourceKey, Entry> handed_out_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Fact, absl::flat_hash_set<ResourceKey>> dependents_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Listener> listener_ ABSL_GUARDED_BY(mutex_);
  // Computed when asked for, dropped by the next change.
  mutable std::optional<std::vector<weft::v1::Finding>> findings_ ABSL_GUARDED_BY(mutex_);
  mutable std::optional<uint32_t> endpoint_count_ ABSL_GUARDED_BY(mutex_);
};

Compiler::Compiler(Options options) : state_(std::make_unique<State>(std::move(options))) {}

Compiler::~Compiler() = default;

std::shared_ptr<const Resource> Compiler::Get(const ResourceKey& key) { return state_->Get(key); }

void Compiler::Release(const ResourceKey& key) { state_->Release(key); }

void Compiler::SetListener(Listener listener) { state_->SetListener(std::move(listener)); }

void Compiler::SetTrustBundle(const weft::v1::TrustBundle& bundle) {
  state_->SetTrustBundle(bundle);
}

void Compiler::Apply(std::vector<store::Update> updates) { state_->Apply(std::move(updates)); }

std::optional<SpiffeId> Compiler::IdentityOf(std::string_view workload) const {
  return state_->Identity(workload);
}

std::string Compiler::UidOf(std::string_view workload) const {
  const size_t slash = workload.find('/');
  if (slash == std::string_view::npos) return "";
  return state_->Read([&](const Index& index, const View& view) {
    const auto* pod =
        index.store().Find<k8s::Pod>(workload.substr(0, slash), workload.substr(slash + 1));
    return pod == nullptr ? std::string() : pod->metadata().uid();
  });
}

std::vector<std::string> Compiler::MeshNamespaces() const {
  return state_->Read(
      [](const Index& index, const View& view) { return compile::MeshNamespaces(index.store()); });
}

weft::v1::ListServicesResponse Compiler::ListServices(std::string_view name_space) const {
  return state_->Read([&](const Index& index, const View& view) {
    return compile::ListServices(index, view, name_space);
  });
}

weft::v1::ListSplitsResponse Compiler::ListSplits(std::string_view name_space) const {
  return state_->Read([&](const Index& index, const View& view) {
    return compile::ListSplits(index, view, name_space);
  });
}

std::vector<weft::v1::Finding> Compiler::Findings() const { return state_->Findings(); }

std::vector<Review> Compiler::Reviews() const {
  return state_->Read(
      [](const Index& index, const View& view) { return ReviewObjects(index, view); });
}

uint64_t Compiler::Revision() const { return state_->Revision(); }

absl::StatusOr<weft::v1::ResolveRouteResponse> Compiler::ResolveRoute(
    const weft::v1::ResolveRouteRequest& request) const {
  return state_->Read(
      [&](const Index& index, const View& view) { return compile::ResolveRoute(view, request); });
}

weft::v1::MeshSettings Compiler::Settings() const {
  return state_->Read([](const Index& index, const View& view) {
    FindingSink ignored;
    return CompileSettings(view, ignored);
  });
}

Compiler::Counts Compiler::GetCounts() const { return state_->GetCounts(); }

}  // namespace weft::compile
