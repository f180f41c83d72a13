#include "injector/webhook/namespaces.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/kubernetes/status.h"
#include "base/strings.h"
#include "control-plane/source/kubernetes_resource.h"
#include "control-plane/store/kinds.h"
#include "injector/patch/json.h"

namespace weft::webhook {
namespace {

constexpr absl::Duration kGetTimeout = absl::Seconds(2);
constexpr size_t kMaxNamespaceBytes = 2 << 20;

const source::KubernetesResource& NamespaceResource() {
  for (const source::KubernetesResource& resource : source::KubernetesResources()) {
    if (resource.kind == store::Kind::kNamespace) return resource;
  }
  std::abort();  // the table has it
}

inject::NamespaceFacts FactsOf(const k8s::Namespace& object) {
  inject::NamespaceFacts facts;
  facts.name = object.metadata().name();
  facts.annotations.insert(object.metadata().annotations().begin(),
                           object.metadata().annotations().end());
  facts.labels.insert(object.metadata().labels().begin(), object.metadata().labels().end());
  return facts;
}

}  // namespace

WatchedNamespaces::WatchedNamespaces(kubernetes::Client& client, Metrics& metrics,
                                     const source::KubernetesTiming& timing)
    : client_(client),
      metrics_(metrics),
      reflector_(std::make_unique<source::KubernetesReflector>(
          client, NamespaceResource(), timing,
          [this](std::vector<store::Update> updates) { Take(std::move(updates)); },
          reflector_metrics_)) {}

absl::StatusOr<inject::NamespaceFacts> WatchedNamespaces::Find(const std::string& name) {
  absl::Time since;
  if (reflector_->Trouble(since).ok()) {
    absl::MutexLock lock(&mutex_);
    if (const auto it = namespaces_.find(name); it != namespaces_.end()) {
      metrics_.NamespaceLookups("watch").Increment();
      return it->second;
    }
  }
  absl::StatusOr<inject::NamespaceFacts> direct = Get(name);
  metrics_
      .NamespaceLookups(direct.ok()                         ? "get"
                        : absl::IsNotFound(direct.status()) ? "missing"
                                                            : "failed")
      .Increment();
  if (direct.ok() || absl::IsNotFound(direct.status())) return direct;
  // What the watch said last is better than nothing.
  absl::MutexLock lock(&mutex_);
  const auto it = namespaces_.find(name);
  return it == namespaces_.end() ? direct : it->second;
}

void WatchedNamespaces::Take(std::vector<store::Update> updates) {
  absl::MutexLock lock(&mutex_);
  for (const store::Update& update : updates) {
    if (update.object == nullptr) {
      namespaces_.erase(update.key.name);
    } else {
      namespaces_[update.key.name] = FactsOf(static_cast<const k8s::Namespace&>(*update.object));
    }
  }
}

absl::StatusOr<inject::NamespaceFacts> WatchedNamespaces::Get(const std::string& name) {
  const absl::StatusOr<kubernetes::Response> response =
      client_.Call({.path = absl::StrCat("/api/v1/namespaces/", kubernetes::EscapeUrl(name)),
                    .timeout = kGetTimeout,
                    .max_response_bytes = kMaxNamespaceBytes});
  if (!response.ok()) return response.status();
  if (absl::Status status =
          kubernetes::StatusOf(*response, "get", absl::StrCat("namespaces ", name));
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<inject::Json> json = inject::ParseJson(response->body);
  if (!json.ok()) return json.status();
  return inject::NamespaceFacts{
      .name = name,
      .annotations = inject::StringMap(inject::FindPath(*json, {"metadata", "annotations"})),
      .labels = inject::StringMap(inject::FindPath(*json, {"metadata", "labels"}))};
}

}  // namespace weft::webhook
