#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/check.h"
#include "control-plane/compile/endpoints.h"
#include "control-plane/compile/pod.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/split.h"

namespace weft::compile {
namespace {

// Checks a split that is understood against the objects it speaks of.
class Checker {
 public:
  Checker(const View& view, const SplitPlan& plan, FindingSink& findings)
      : view_(view),
        plan_(plan),
        name_space_(plan.split->metadata().namespace_()),
        object_(absl::StrCat("TrafficSplit ", Qualified(plan.split->metadata()))),
        findings_(findings) {}

  void Check() {
    CheckConflict();
    CheckWeights();
    root_ = view_.Service(name_space_, plan_.root);
    if (root_ == nullptr) {
      Error("spec.service", "RootServiceNotFound",
            absl::StrCat("there is no service \"", plan_.root, "\" in namespace ", name_space_,
                         "; the split has no effect"),
            "create the service or correct the name");
    } else {
      CheckRoot();
    }
    absl::flat_hash_set<std::string> seen;
    for (size_t i = 0; i < plan_.backends.size(); ++i) {
      const SplitPlan::Backend& backend = plan_.backends[i];
      if (backend.service.empty()) continue;
      const std::string field = absl::StrCat("spec.backends[", i, "].service");
      if (!seen.insert(backend.service).second) {
        Warning(field, "BackendDuplicate",
                absl::StrCat("the service \"", backend.service,
                             "\" is listed before; the weights add up"),
                "list every backend once");
      }
      CheckBackend(backend, field);
    }
  }

 private:
  void CheckConflict() {
    FindingSink reported_with_their_own_split;
    std::optional<SplitPlan> winner =
        SplitInForce(view_, name_space_, plan_.root, reported_with_their_own_split);
    if (!winner || winner->split == plan_.split) return;
    Error("spec.service", "Conflict",
          absl::StrCat("TrafficSplit ", Qualified(winner->split->metadata()),
                       " splits the service \"", plan_.root,
                       "\" already and is older; this split has no effect"),
          "keep one split for each root service");
  }

  void CheckWeights() {
    const bool any = std::ranges::any_of(
        plan_.backends, [](const SplitPlan::Backend& backend) { return backend.weight > 0; });
    if (any) return;
    Error("spec.backends", "WeightsAllZero",
          "all weights are zero; the requests that are split fail with 503",
          "give at least one backend a weight above 0");
  }

  void CheckRoot() {
    if (ClusterIps(*root_).empty()) {
      Error("spec.service", "RootServiceHeadless",
            absl::StrCat("the service \"", plan_.root,
                         "\" has no cluster IP: clients dial its pods directly, and no split "
                         "applies to them"),
            "use a root service with a cluster IP");
    }
    if (plan_.matches.empty() || plan_.matches_all_ports || !plan_.matches_ports.empty()) return;
    for (const k8s::ServicePort& port : root_->spec().ports()) {
      if (!IsTcp(port.protocol())) continue;
      const weft::v1::Protocol protocol = EffectiveProtocol(view_, *root_, port);
      if (protocol != weft::v1::PROTOCOL_TCP && protocol != weft::v1::PROTOCOL_TLS) continue;
      Warning("spec.matches", "MatchesNeedHttp",
              absl::StrCat("port ", port.port(), " of the service \"", plan_.root,
                           "\" does not carry HTTP, so no request on it can match; it is not "
                           "split"),
              "declare the port as HTTP (appProtocol: http), or match by a TCPRoute");
    }
  }

  void CheckBackend(const SplitPlan::Backend& backend, const std::string& field) {
    const k8s::Service* service = view_.Service(name_space_, backend.service);
    if (service == nullptr) {
      Error(field, "BackendNotFound",
            absl::StrCat("there is no service \"", backend.service, "\" in namespace ", name_space_,
                         "; it gets no traffic, the other backends take its share"),
            "create the service or correct the name");
      return;
    }
    if (root_ == nullptr || service == root_) return;
    for (const k8s::ServicePort& port : root_->spec().ports()) {
      if (!IsTcp(port.protocol()) || CorrespondingPort(*service, port) != nullptr) continue;
      Error(field, "BackendPortNotFound",
            absl::StrCat("the service \"", backend.service, "\" has no port ", port.port(),
                         port.name().empty() ? "" : absl::StrCat(" or \"", port.name(), "\""),
                         "; it gets none of the traffic to that port of \"", plan_.root, "\""),
            "give the backend's port the number or the name of the root's port");
    }
    CheckSelectors(backend, *service);
  }

  // Requests that the split leaves alone, or gives to the root, must not land on another backend's
  // pods.
  void CheckSelectors(const SplitPlan::Backend& backend, const k8s::Service& service) {
    const bool root_gets_traffic =
        plan_.conditional || std::ranges::any_of(plan_.backends, [this](const auto& other) {
          return other.service == plan_.root && other.weight > 0;
        });
    if (!root_gets_traffic) return;
    for (const k8s::Pod* pod : view_.PodsOf(service)) {
      if (!Selects(*root_, *pod)) continue;
      Warning(
          "spec.service", "RootSelectsBackendPods",
          absl::StrCat("the selector of \"", plan_.root, "\" also chooses pods of the backend \"",
                       backend.service, "\" (", pod->metadata().name(),
                       "), so requests meant for \"", plan_.root, "\" reach them too"),
          absl::StrCat("narrow the selector of \"", plan_.root,
                       "\" to the pods of its own version"));
      return;
    }
  }

  void Error(std::string field, std::string_view reason, std::string message, std::string remedy) {
    findings_.Error({object_, std::move(field), reason, std::move(message), std::move(remedy)});
  }
  void Warning(std::string field, std::string_view reason, std::string message,
               std::string remedy) {
    findings_.Warning({object_, std::move(field), reason, std::move(message), std::move(remedy)});
  }

  const View& view_;
  const SplitPlan& plan_;
  const std::string& name_space_;
  const std::string object_;
  FindingSink& findings_;
  const k8s::Service* root_ = nullptr;
};

}  // namespace

void CheckSplit(const View& view, const k8s::TrafficSplit& split, FindingSink& findings) {
  std::optional<SplitPlan> plan = PlanSplit(view, split, findings);
  if (plan) Checker(view, *plan, findings).Check();
}

}  // namespace weft::compile
