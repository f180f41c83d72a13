#include "control-plane/compile/split.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "control-plane/compile/limits.h"
#include "control-plane/compile/route_group.h"
#include "control-plane/compile/service.h"
#include "control-plane/compile/weight.h"

namespace weft::compile {
namespace {

// Reads one split; keeps what the findings need to say where.
class Planner {
 public:
  Planner(const View& view, const k8s::TrafficSplit& split, FindingSink& findings)
      : view_(view),
        split_(split),
        name_space_(split.metadata().namespace_()),
        object_(absl::StrCat("TrafficSplit ", Qualified(split.metadata()))),
        findings_(findings) {}

  std::optional<SplitPlan> Plan() {
    plan_.split = &split_;
    // All three, so that every mistake is found at once.
    const bool root = ReadRoot();
    const bool backends = ReadBackends();
    ReadMatches();
    if (!root || !backends) return std::nullopt;
    return std::move(plan_);
  }

 private:
  bool ReadRoot() {
    const std::string& reference = split_.spec().service();
    plan_.root = LocalServiceName(reference, name_space_, view_.cluster_domain());
    if (!plan_.root.empty()) return true;
    Error("spec.service", "RootServiceInvalid",
          reference.empty() ? "no root service is named; the split has no effect"
                            : absl::StrCat("\"", reference, "\" is no service of namespace ",
                                           name_space_, "; the split has no effect"),
          "name the service that clients call, in the split's own namespace");
    return false;
  }

  bool ReadBackends() {
    if (split_.spec().backends().empty()) {
      Error("spec.backends", "BackendsMissing", "there are no backends; the split has no effect",
            "list the services to split traffic among, each with a weight");
      return false;
    }
    if (split_.spec().backends_size() > kMaxBackends) {
      Error("spec.backends", "BackendsTooMany",
            absl::StrCat("there are ", split_.spec().backends_size(), " backends; ", kMaxBackends,
                         " are allowed, and the split has no effect"),
            "split among fewer services");
      return false;
    }
    bool understood = true;
    std::vector<uint64_t> thousandths;
    for (int i = 0; i < split_.spec().backends_size(); ++i) {
      const k8s::TrafficSplitBackend& source = split_.spec().backends(i);
      const std::string field = absl::StrCat("spec.backends[", i, "]");
      std::optional<uint64_t> weight = WeightInThousandths(source.weight());
      if (!weight) {
        Error(absl::StrCat(field, ".weight"), "WeightInvalid",
              "the weight is missing, negative or no number; the split has no effect",
              "write a whole number from 0 up, such as 90; in v1alpha1 also \"500m\"");
        understood = false;
      }
      thousandths.push_back(weight.value_or(0));
      SplitPlan::Backend& backend = plan_.backends.emplace_back();
      backend.reference = source.service();
      backend.service = LocalServiceName(source.service(), name_space_, view_.cluster_domain());
      if (backend.service.empty()) {
        Error(absl::StrCat(field, ".service"), "BackendInvalid",
              absl::StrCat("\"", source.service(), "\" is no service of namespace ", name_space_,
                           "; this backend gets no traffic"),
              "name a service in the split's own namespace");
      }
    }
    // Ratios are whole numbers: as written, unless one of them is a fraction.
    const bool whole = std::ranges::all_of(thousandths, [](uint64_t w) { return w % 1000 == 0; });
    for (size_t i = 0; i < thousandths.size(); ++i) {
      plan_.backends[i].weight = whole ? thousandths[i] / 1000 : thousandths[i];
    }
    return understood;
  }

  void ReadMatches() {
    plan_.conditional = !split_.spec().matches().empty();
    absl::flat_hash_set<std::string> seen;
    for (int i = 0; i < split_.spec().matches_size(); ++i) {
      const k8s::TrafficSplitMatch& match = split_.spec().matches(i);
      const std::string field = absl::StrCat("spec.matches[", i, "]");
      if (!seen.insert(absl::StrCat(match.kind(), "/", match.name())).second) continue;
      if (match.kind().empty() || match.kind() == "HTTPRouteGroup") {
        ReadRouteGroup(match.name(), field);
      } else if (match.kind() == "TCPRoute") {
        ReadTcpRoute(match.name(), field);
      } else {
        Error(absl::StrCat(field, ".kind"), "MatchKindUnknown",
              absl::StrCat("a split cannot match by a \"", match.kind(),
                           "\"; this entry matches no request"),
              "use HTTPRouteGroup or TCPRoute");
      }
    }
    if (plan_.conditional && plan_.matches.empty() && plan_.matches_ports.empty() &&
        !plan_.matches_all_ports) {
      Error("spec.matches", "NoUsableMatch",
            "none of the named matches can be used, so nothing is split: every request goes to the "
            "root service's own endpoints",
            "correct the route groups that the other findings name");
    }
  }

  void ReadRouteGroup(const std::string& name, const std::string& field) {
    const k8s::HttpRouteGroup* group = view_.RouteGroup(name_space_, name);
    if (group == nullptr) return NotFound("HTTPRouteGroup", name, field);
    FindingSink reported_with_the_group;
    for (weft::v1::HttpMatch& match : MatchesOf(*group, reported_with_the_group)) {
      if (plan_.matches.size() == kMaxMatches || !CountRegexes(match)) {
        return Error(absl::StrCat(field, ".name"), "MatchesTooMany",
                     absl::StrCat("the split has more than ", kMaxMatches, " matches or ",
                                  kMaxRegexes, " different regular expressions; those from \"",
                                  match.name(), "\" on match no request"),
                     "use regular expressions that cover several cases");
      }
      plan_.matches.push_back(std::move(match));
    }
  }

  // False if the match's expressions are more than a split may have.
  bool CountRegexes(const weft::v1::HttpMatch& match) {
    if (!match.path_regex().empty()) regexes_.insert(absl::StrCat("/", match.path_regex()));
    for (const auto* values : {&match.headers(), &match.cookies()}) {
      for (const weft::v1::ValueMatch& value : *values) regexes_.insert(value.regex());
    }
    return regexes_.size() <= kMaxRegexes;
  }

  void ReadTcpRoute(const std::string& name, const std::string& field) {
    const k8s::TcpRoute* route = view_.TcpRoute(name_space_, name);
    if (route == nullptr) return NotFound("TCPRoute", name, field);
    plan_.matches_all_ports |= route->spec().matches().ports().empty();
    for (int port : route->spec().matches().ports()) {
      plan_.matches_ports.push_back(static_cast<uint32_t>(port));
    }
  }

  void NotFound(const std::string& kind, const std::string& name, const std::string& field) {
    Error(absl::StrCat(field, ".name"), "MatchNotFound",
          absl::StrCat("there is no ", kind, " \"", name, "\" in namespace ", name_space_,
                       "; this entry matches no request"),
          absl::StrCat("create the ", kind, " or correct the name"));
  }

  void Error(std::string field, std::string_view reason, std::string message, std::string remedy) {
    findings_.Error({.object = object_,
                     .field = std::move(field),
                     .reason = reason,
                     .message = std::move(message),
                     .remedy = std::move(remedy)});
  }

  const View& view_;
  const k8s::TrafficSplit& split_;
  const std::string& name_space_;
  const std::string object_;
  FindingSink& findings_;
  SplitPlan plan_;
  absl::flat_hash_set<std::string> regexes_;  // those of paths marked, as they are anchored
};

weft::v1::Rule SplitRule(const View& view, const SplitPlan& plan, const k8s::ServicePort& port) {
  const std::string& name_space = plan.split->metadata().namespace_();
  weft::v1::Rule rule;
  bool any_usable = false;
  for (const SplitPlan::Backend& source : plan.backends) {
    weft::v1::WeightedBackend& backend = *rule.add_backends();
    backend.set_service(
        Qualified(name_space, source.service.empty() ? source.reference : source.service));
    const k8s::Service* service =
        source.service.empty() ? nullptr : view.Service(name_space, source.service);
    const k8s::ServicePort* backend_port =
        service == nullptr ? nullptr : CorrespondingPort(*service, port);
    if (backend_port == nullptr) continue;  // weight 0, no endpoints: others take its traffic
    backend.set_endpoints(EndpointsName(*service, *backend_port));
    backend.set_weight(source.weight);
    any_usable = true;
  }
  if (!any_usable) rule.clear_backends();
  return rule;
}

bool TcpRouteApplies(const SplitPlan& plan, const k8s::ServicePort& port) {
  return plan.matches_all_ports ||
         std::ranges::find(plan.matches_ports, static_cast<uint32_t>(port.port())) !=
             plan.matches_ports.end();
}

}  // namespace

std::optional<SplitPlan> PlanSplit(const View& view, const k8s::TrafficSplit& split,
                                   FindingSink& findings) {
  return Planner(view, split, findings).Plan();
}

std::optional<SplitPlan> SplitInForce(const View& view, std::string_view name_space,
                                      std::string_view root, FindingSink& findings) {
  for (const k8s::TrafficSplit* split : view.SplitsOf(name_space, root)) {
    if (std::optional<SplitPlan> plan = PlanSplit(view, *split, findings)) return plan;
  }
  return std::nullopt;
}

std::vector<weft::v1::Rule> RulesOf(const View& view, const SplitPlan& plan,
                                    const k8s::Service& root, const k8s::ServicePort& port,
                                    weft::v1::Protocol protocol) {
  std::vector<weft::v1::Rule> rules;
  if (!plan.conditional || TcpRouteApplies(plan, port)) {
    rules.push_back(SplitRule(view, plan, port));
    return rules;
  }
  // Opaque bytes have no headers to match.
  const bool opaque = protocol == weft::v1::PROTOCOL_TCP || protocol == weft::v1::PROTOCOL_TLS;
  if (!plan.matches.empty() && !opaque) {
    weft::v1::Rule& rule = rules.emplace_back(SplitRule(view, plan, port));
    rule.mutable_matches()->Assign(plan.matches.begin(), plan.matches.end());
  }
  rules.push_back(OwnEndpoints(root, port));
  return rules;
}

weft::v1::Rule OwnEndpoints(const k8s::Service& service, const k8s::ServicePort& port) {
  weft::v1::Rule rule;
  weft::v1::WeightedBackend& backend = *rule.add_backends();
  backend.set_service(Qualified(service.metadata()));
  backend.set_endpoints(EndpointsName(service, port));
  backend.set_weight(1);
  return rule;
}

}  // namespace weft::compile
