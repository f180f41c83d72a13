#include "control-plane/kubernetes/conditions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using v1::Finding;

Finding MakeFinding(const std::string& reason, Finding::Severity severity = Finding::ERROR) {
  Finding finding;
  finding.set_severity(severity);
  finding.set_field("spec." + reason);
  finding.set_reason(reason);
  finding.set_message("about " + reason);
  return finding;
}

compile::Review ReviewOf(store::Kind kind, const std::vector<Finding>& findings) {
  return {.key = {kind, "shop", "tea"}, .uid = "u1", .generation = 7, .findings = findings};
}

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kNowText[] = "2027-01-15T08:00:00Z";

TEST(Conditions, SayWhetherASplitIsInForceAndWhatItNamesExists) {
  struct Case {
    std::vector<std::string> found;
    bool accepted;
    std::string accepted_reason;
    bool resolved;
    std::string resolved_reason;
  };
  for (const Case& c : std::vector<Case>{
           {{}, true, "Accepted", true, "ResolvedRefs"},
           {{"Conflict"}, false, "Conflict", true, "ResolvedRefs"},
           {{"WeightInvalid"}, false, "WeightInvalid", true, "ResolvedRefs"},
           {{"BackendsMissing"}, false, "BackendsMissing", true, "ResolvedRefs"},
           {{"RootServiceInvalid"}, false, "RootServiceInvalid", true, "ResolvedRefs"},
           {{"RootServiceHeadless"}, false, "RootServiceHeadless", true, "ResolvedRefs"},
           {{"RootServiceNotFound"}, true, "Accepted", false, "RootServiceNotFound"},
           {{"BackendNotFound"}, true, "Accepted", false, "BackendNotFound"},
           {{"BackendPortNotFound"}, true, "Accepted", false, "BackendPortNotFound"},
           {{"MatchNotFound"}, true, "Accepted", false, "MatchNotFound"},
           // The gravest comes first, wherever it was found.
           {{"BackendNotFound", "RootServiceNotFound"},
            true,
            "Accepted",
            false,
            "RootServiceNotFound"},
           {{"MatchNotFound", "NoUsableMatch"}, true, "Accepted", false, "NoUsableMatch"},
           {{"Conflict", "BackendNotFound"}, false, "Conflict", false, "BackendNotFound"},
           // In force, but not as it was meant.
           {{"WeightsAllZero"}, true, "WeightsAllZero", true, "ResolvedRefs"},
           {{"MatchesTooMany"}, true, "MatchesTooMany", true, "ResolvedRefs"}}) {
    std::vector<Finding> findings;
    for (const std::string& reason : c.found) findings.push_back(MakeFinding(reason));
    const std::vector<Condition> conditions =
        ConditionsOf(ReviewOf(store::Kind::kTrafficSplit, findings));
    ASSERT_EQ(conditions.size(), 2u);
    const std::string which = c.found.empty() ? "none" : c.found.front();
    EXPECT_EQ(conditions[0].type, "Accepted");
    EXPECT_EQ(conditions[0].met, c.accepted) << which;
    EXPECT_EQ(conditions[0].reason, c.accepted_reason) << which;
    EXPECT_EQ(conditions[0].observed_generation, 7);
    EXPECT_EQ(conditions[1].type, "ResolvedRefs");
    EXPECT_EQ(conditions[1].met, c.resolved) << which;
    EXPECT_EQ(conditions[1].reason, c.resolved_reason) << which;
  }
}

TEST(Conditions, AWarningFailsNothing) {
  const std::vector<Condition> conditions = ConditionsOf(
      ReviewOf(store::Kind::kTrafficSplit, {MakeFinding("BackendDuplicate", Finding::WARNING)}));
  EXPECT_TRUE(conditions[0].met);
  EXPECT_TRUE(conditions[1].met);
}

TEST(Conditions, ARouteGroupWithAMistakeIsNotAccepted) {
  EXPECT_TRUE(ConditionsOf(ReviewOf(store::Kind::kHttpRouteGroup, {})).at(0).met);
  const std::vector<Condition> conditions =
      ConditionsOf(ReviewOf(store::Kind::kHttpRouteGroup, {MakeFinding("RegexInvalid")}));
  ASSERT_EQ(conditions.size(), 1u);
  EXPECT_FALSE(conditions[0].met);
  EXPECT_EQ(conditions[0].reason, "RegexInvalid");
}

TEST(Conditions, TheMessageNamesFieldsAndIsBounded) {
  std::vector<Finding> findings(200, MakeFinding("BackendNotFound"));
  findings[0].set_message("wo ist der \xC3\xA4rger");
  for (Finding& finding : findings) {
    finding.set_message(finding.message() + " \xC3\xA4\xC3\xA4\xC3\xA4");
  }
  const std::vector<Condition> conditions =
      ConditionsOf(ReviewOf(store::Kind::kTrafficSplit, findings));
  EXPECT_THAT(conditions[1].message, HasSubstr("spec.BackendNotFound: wo ist der \xC3\xA4rger"));
  EXPECT_THAT(conditions[1].message, HasSubstr("..."));
  EXPECT_LE(conditions[1].message.size(), 1024u);
  EXPECT_NO_THROW(json(conditions[1].message).dump());  // still UTF-8
}

TEST(MergeConditions, WriteAllToAnObjectWithoutStatusAndNothingTheSecondTime) {
  const std::vector<Condition> wanted = ConditionsOf(ReviewOf(store::Kind::kTrafficSplit, {}));
  std::optional<json> merged = MergeConditions(json::object(), wanted, kNow);
  ASSERT_TRUE(merged.has_value());
  ASSERT_EQ(merged->size(), 2u);
  EXPECT_EQ((*merged)[0], json({{"type", "Accepted"},
                                {"status", "True"},
                                {"reason", "Accepted"},
                                {"message", "the split is in force"},
                                {"observedGeneration", 7},
                                {"lastTransitionTime", kNowText}}));
  const json object = {{"status", {{"conditions", *merged}}}};
  EXPECT_EQ(MergeConditions(object, wanted, kNow + absl::Hours(1)), std::nullopt);
}

TEST(MergeConditions, TheTimeChangesOnlyWithTheStatus) {
  std::vector<Condition> wanted = ConditionsOf(ReviewOf(store::Kind::kTrafficSplit, {}));
  json object = {{"status", {{"conditions", *MergeConditions({}, wanted, kNow)}}}};

  wanted[0].observed_generation = 8;
  wanted[0].message = "other words";
  std::optional<json> merged = MergeConditions(object, wanted, kNow + absl::Hours(1));
  ASSERT_TRUE(merged.has_value());
  EXPECT_EQ((*merged)[0]["observedGeneration"], 8);
  EXPECT_EQ((*merged)[0]["lastTransitionTime"], kNowText);

  wanted[0].met = false;
  object["status"]["conditions"] = *merged;
  merged = MergeConditions(object, wanted, kNow + absl::Hours(2));
  ASSERT_TRUE(merged.has_value());
  EXPECT_EQ((*merged)[0]["lastTransitionTime"], "2027-01-15T10:00:00Z");
  EXPECT_EQ((*merged)[1]["lastTransitionTime"], kNowText);
}

TEST(MergeConditions, OthersConditionsStay) {
  const std::vector<Condition> wanted = ConditionsOf(ReviewOf(store::Kind::kHttpRouteGroup, {}));
  const json promoted = {{"type", "Promoted"}, {"status", "Unknown"}};
  const json object = {
      {"status",
       {{"conditions", {promoted, {{"type", "Accepted"}, {"status", "False"}}}}, {"other", 1}}}};
  const std::optional<json> merged = MergeConditions(object, wanted, kNow);
  ASSERT_TRUE(merged.has_value());
  ASSERT_EQ(merged->size(), 2u);
  EXPECT_EQ((*merged)[0], promoted);
  EXPECT_EQ((*merged)[1]["status"], "True");
}

TEST(MergeConditions, WhateverAStatusIsItBecomesRight) {
  const std::vector<Condition> wanted = ConditionsOf(ReviewOf(store::Kind::kHttpRouteGroup, {}));
  for (const char* status :
       {"null", "1", "[]", "{}", R"({"conditions": null})", R"({"conditions": {"a": 1}})",
        R"({"conditions": [1, null, {"type": 5}, {"type": "Accepted", "status": 1}]})"}) {
    const json object = {{"status", json::parse(status)}};
    const std::optional<json> merged = MergeConditions(object, wanted, kNow);
    ASSERT_TRUE(merged.has_value()) << status;
    EXPECT_EQ(merged->back()["status"], "True") << status;
  }
}

}  // namespace
}  // namespace weft::cluster
