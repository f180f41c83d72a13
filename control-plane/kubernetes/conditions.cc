#include "control-plane/kubernetes/conditions.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::cluster {
namespace {

using nlohmann::json;
using v1::Finding;

constexpr size_t kMaxMessageBytes = 1024;
constexpr char kAccepted[] = "Accepted";
constexpr char kResolved[] = "ResolvedRefs";

// Findings of a split after which it is in force for no request at all.
constexpr std::string_view kRefusals[] = {"Conflict",        "RootServiceInvalid",
                                          "BackendsMissing", "BackendsTooMany",
                                          "WeightInvalid",   "RootServiceHeadless"};

// Findings about what a split names, the gravest first.
constexpr std::string_view kReferences[] = {
    "RootServiceNotFound", "NoUsableMatch",  "MatchNotFound",      "MatchKindUnknown",
    "BackendNotFound",     "BackendInvalid", "BackendPortNotFound"};

template <size_t N>
bool IsOneOf(const std::string_view (&reasons)[N], const Finding& finding) {
  return std::ranges::find(reasons, finding.reason()) != std::end(reasons);
}

// A message that is cut, if it must be, between characters.
std::string Bounded(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  size_t end = kMaxMessageBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

std::string MessageOf(const std::vector<const Finding*>& findings) {
  std::string message;
  for (const Finding* finding : findings) {
    if (message.size() > kMaxMessageBytes) break;
    absl::StrAppend(&message, message.empty() ? "" : "; ", finding->field(), ": ",
                    finding->message());
  }
  return Bounded(std::move(message));
}

// Met or not, for the reason of the first of the findings; met for a reason of its own without any.
Condition ConditionOf(std::string type, bool met, const std::vector<const Finding*>& findings,
                      std::string reason, std::string message, int64_t generation) {
  return {.type = std::move(type),
          .met = met,
          .reason = findings.empty() ? std::move(reason) : findings.front()->reason(),
          .message = findings.empty() ? std::move(message) : MessageOf(findings),
          .observed_generation = generation};
}

std::vector<Condition> ConditionsOfSplit(const compile::Review& review) {
  std::vector<const Finding*> refusals, references, others;
  for (const Finding& finding : review.findings) {
    if (finding.severity() != Finding::ERROR) continue;
    (IsOneOf(kRefusals, finding)     ? refusals
     : IsOneOf(kReferences, finding) ? references
                                     : others)
        .push_back(&finding);
  }
  std::ranges::stable_sort(references, {}, [](const Finding* finding) {
    return std::ranges::find(kReferences, finding->reason()) - std::begin(kReferences);
  });
  const bool accepted = refusals.empty();
  return {ConditionOf(kAccepted, accepted, accepted ? others : refusals, "Accepted",
                      "the split is in force", review.generation),
          ConditionOf(kResolved, references.empty(), references, "ResolvedRefs",
                      "everything that the split names exists", review.generation)};
}

std::vector<Condition> ConditionsOfGroup(const compile::Review& review) {
  std::vector<const Finding*> errors;
  for (const Finding& finding : review.findings) {
    if (finding.severity() == Finding::ERROR) errors.push_back(&finding);
  }
  return {ConditionOf(kAccepted, errors.empty(), errors, "Accepted", "every match can be used",
                      review.generation)};
}

// The member of a JSON object, null if it is no object or has no such member.
json Member(const json& object, const char* name) {
  return object.is_object() && object.contains(name) ? object[name] : json();
}

json ToJson(const Condition& condition) {
  return {{"type", condition.type},
          {"status", condition.met ? "True" : "False"},
          {"reason", condition.reason},
          {"message", condition.message},
          {"observedGeneration", condition.observed_generation}};
}

}  // namespace

std::vector<Condition> ConditionsOf(const compile::Review& review) {
  return review.key.kind == store::Kind::kTrafficSplit ? ConditionsOfSplit(review)
                                                       : ConditionsOfGroup(review);
}

std::optional<json> MergeConditions(const json& object, const std::vector<Condition>& wanted,
                                    absl::Time now) {
  const json before = Member(Member(object, "status"), "conditions");
  json after = json::array();
  for (const json& condition : before.is_array() ? before : json::array()) {
    const json type = Member(condition, "type");
    const bool ours =
        std::ranges::any_of(wanted, [&](const Condition& one) { return type == json(one.type); });
    if (!ours) after.push_back(condition);
  }
  for (const Condition& condition : wanted) {
    json next = ToJson(condition);
    json since = absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", now, absl::UTCTimeZone());
    for (const json& old : before.is_array() ? before : json::array()) {
      if (Member(old, "type") != next["type"] || Member(old, "status") != next["status"]) continue;
      if (const json time = Member(old, "lastTransitionTime"); time.is_string()) since = time;
    }
    next["lastTransitionTime"] = since;
    after.push_back(std::move(next));
  }
  // Their order means nothing.
  if (before.is_array() && before.size() == after.size() &&
      std::ranges::is_permutation(before, after)) {
    return std::nullopt;
  }
  return after;
}

}  // namespace weft::cluster
