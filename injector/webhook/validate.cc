#include "injector/webhook/validate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/strings.h"
#include "control-plane/compile/check.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/view.h"
#include "control-plane/source/object.h"
#include "control-plane/store/kinds.h"

namespace weft::webhook {
namespace {

using inject::ArrayAt;
using inject::Dump;
using inject::Find;
using inject::FindPath;

constexpr char kClusterDomain[] = "cluster.local";
constexpr size_t kMaxServices = 32;  // looked up for one split
constexpr size_t kMaxMistakes = 8;   // named in one refusal

enum class Consequence { kRefuse, kWarn, kNothing };

// What a finding of the compiler's means at admission. Its severities speak of objects that are in
// force; here an error refuses, but for what others may put right without touching this object.
Consequence ConsequenceOf(const weft::v1::Finding& finding) {
  static constexpr std::string_view kOfOthers[] = {"RootServiceNotFound", "BackendNotFound",
                                                   "MatchNotFound", "NoUsableMatch", "Conflict"};
  static constexpr std::string_view kLegal[] = {"WeightsAllZero", "RootServiceHeadless",
                                                "BackendPortNotFound", "MatchesTooMany",
                                                "MeshConfigIgnored"};
  static constexpr std::string_view kRefused[] = {"BackendDuplicate"};
  const auto is_one_of = [&finding](const auto& reasons) {
    return std::ranges::find(reasons, finding.reason()) != std::end(reasons);
  };
  if (is_one_of(kOfOthers)) return Consequence::kNothing;
  if (is_one_of(kRefused)) return Consequence::kRefuse;
  if (is_one_of(kLegal) || finding.severity() == weft::v1::Finding::WARNING) {
    return Consequence::kWarn;
  }
  return Consequence::kRefuse;
}

// From v1alpha2 on weights are whole numbers; before, quantities.
void CheckWeightsAreWhole(const Json& split, std::vector<std::string>& mistakes) {
  if (inject::StringAt(split, "apiVersion").ends_with("/v1alpha1")) return;
  const Json* spec = Find(split, "spec");
  if (spec == nullptr) return;
  const Json& backends = ArrayAt(*spec, "backends");
  for (size_t i = 0; i < backends.size(); ++i) {
    const Json* weight = Find(backends[i], "weight");
    if (weight == nullptr || weight->is_number_integer()) continue;
    if (weight->is_number() && std::trunc(weight->get<double>()) == weight->get<double>()) continue;
    mistakes.push_back(absl::StrCat("spec.backends[", i, "].weight: expected a whole number, got ",
                                    Dump(*weight).substr(0, 40)));
  }
}

bool SameSpec(const Review& review) {
  const Json* before = Find(review.old_object, "spec");
  const Json* after = Find(review.object, "spec");
  // As values: the order of keys says nothing.
  return before != nullptr && after != nullptr && nlohmann::json(*before) == nlohmann::json(*after);
}

bool BeingDeleted(const Json& object) {
  return FindPath(object, {"metadata", "deletionTimestamp"}) != nullptr;
}

// The object with the namespace of the request, should it not name one itself.
Json Located(const Review& review) {
  Json object = review.object;
  if (!review.name_space.empty() && object.is_object()) {
    Json& metadata = object["metadata"];
    if (metadata.is_null()) metadata = Json::object();
    if (metadata.is_object()) metadata["namespace"] = review.name_space;
  }
  return object;
}

}  // namespace

Answer Validator::Decide(const Review& review) const {
  Answer answer;
  const bool ours =
      store::LookUpKind(absl::StrCat(review.group, "/", review.version), review.kind).support !=
      store::Support::kUnknownKind;
  if (!ours || (review.operation != "CREATE" && review.operation != "UPDATE") ||
      !review.sub_resource.empty() || review.object.is_null() || BeingDeleted(review.object)) {
    return answer;
  }
  answer = Check(review);
  if (!answer.allowed && SameSpec(review)) {
    answer.allowed = true;
    answer.warnings.insert(answer.warnings.begin(), std::exchange(answer.message, ""));
  }
  metrics_.Objects(review.kind, answer.allowed ? "allowed" : "denied").Increment();
  if (!answer.allowed) WEFT_LOG_INFO("{} is refused: {}", review.Subject(), answer.message);
  return answer;
}

Answer Validator::Check(const Review& review) const {
  Answer answer;
  std::vector<std::string> mistakes;
  const Json object = Located(review);
  source::ParsedObject parsed = source::ParseObjectJson(Dump(object));
  for (const source::FieldError& error : parsed.errors) {
    mistakes.push_back(absl::StrCat(error.field, ": ", error.message));
  }
  for (const source::FieldError& warning : parsed.warnings) {
    answer.warnings.push_back(absl::StrCat(warning.field, ": ", warning.message));
  }
  if (review.kind == "TrafficSplit") CheckWeightsAreWhole(object, mistakes);
  if (parsed.update) {
    std::vector<store::Update> updates;
    if (review.kind == "TrafficSplit") updates = Surroundings(*parsed.update);
    const std::string subject = parsed.update->key.ToString();
    updates.push_back(*std::move(parsed.update));
    compile::Index index(kClusterDomain);
    index.Apply(std::move(updates));
    const compile::View view(index, kClusterDomain, nullptr);
    compile::FindingSink findings;
    compile::CheckMesh(index, view, findings);
    for (const weft::v1::Finding& finding : findings.Take()) {
      if (finding.object() != subject) continue;
      std::string text =
          absl::StrCat(finding.field(), ": ", finding.message(), "; ", finding.remedy());
      switch (ConsequenceOf(finding)) {
        case Consequence::kRefuse:
          mistakes.push_back(std::move(text));
          break;
        case Consequence::kWarn:
          answer.warnings.push_back(std::move(text));
          break;
        case Consequence::kNothing:
          break;
      }
    }
  }
  if (mistakes.empty()) return answer;
  if (mistakes.size() > kMaxMistakes) {
    const size_t more = mistakes.size() - kMaxMistakes;
    mistakes.resize(kMaxMistakes);
    mistakes.push_back(absl::StrCat("and ", more, " more"));
  }
  answer.allowed = false;
  answer.message = absl::StrJoin(mistakes, "\n");
  return answer;
}

std::vector<store::Update> Validator::Surroundings(const store::Update& update) const {
  const auto& split = static_cast<const k8s::TrafficSplit&>(*update.object);
  const std::string& name_space = split.metadata().namespace_();
  std::set<std::string> names;
  const auto add = [&](const std::string& reference) {
    std::string name = compile::LocalServiceName(reference, name_space, kClusterDomain);
    if (!name.empty() && names.size() < kMaxServices) names.insert(std::move(name));
  };
  add(split.spec().service());
  for (const k8s::TrafficSplitBackend& backend : split.spec().backends()) add(backend.service());

  std::vector<store::Update> updates;
  for (const std::string& name : names) {
    const absl::StatusOr<std::string> json = services_(name_space, name);
    if (!json.ok()) {
      if (absl::IsNotFound(json.status())) continue;
      WEFT_LOG_WARN("service {}/{} cannot be read, {} is checked without it: {}", name_space, name,
                    update.key.ToString(), json.status().ToString());
      return {};
    }
    source::ParsedObject parsed = source::ParseObjectJson(*json, "v1", "Service");
    if (!parsed.update) continue;
    const auto& service = static_cast<const k8s::Service&>(*parsed.update->object);
    if (!service.spec().selector().empty()) {
      // A pod as the service wants it stands for all those that it selects.
      auto pod = std::make_shared<k8s::Pod>();
      pod->mutable_metadata()->set_namespace_(name_space);
      pod->mutable_metadata()->set_name(absl::StrCat("those of ", name));
      *pod->mutable_metadata()->mutable_labels() = service.spec().selector();
      updates.push_back({{store::Kind::kPod, name_space, pod->metadata().name()}, std::move(pod)});
    }
    updates.push_back(*std::move(parsed.update));
  }
  return updates;
}

}  // namespace weft::webhook
