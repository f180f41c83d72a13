#include "injector/webhook/validate.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/yaml.h"

namespace weft::webhook {
namespace {

using inject::Dump;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ValidateTest : public ::testing::Test {
 protected:
  static Json ObjectFrom(const std::string& yaml) { return inject::ParseYaml(yaml)->front(); }

  static Review ReviewOf(const Json& object, const std::string& operation = "CREATE") {
    Review review;
    review.uid = "u";
    const std::string version = object["apiVersion"];
    review.group = version.substr(0, version.find('/'));
    review.version = version.substr(version.find('/') + 1);
    review.kind = object["kind"];
    review.name_space = review.kind == "MeshConfig" ? "" : "shop";
    review.operation = operation;
    review.object = object;
    return review;
  }

  Answer Decide(const std::string& yaml) const {
    return validator_.Decide(ReviewOf(ObjectFrom(yaml)));
  }
  Answer DecideSplit(const std::string& version, const std::string& spec) const {
    return Decide(absl::StrCat("apiVersion: split.smi-spec.io/", version,
                               "\nkind: TrafficSplit\nmetadata: {name: s}\nspec: ", spec));
  }
  Answer DecideGroup(const std::string& matches) const {
    return Decide(
        absl::StrCat("apiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\n"
                     "metadata: {name: g}\nspec: {matches: ",
                     matches, "}"));
  }

  std::map<std::string, std::string> services_;  // "shop/tea" -> JSON
  absl::Status failure_;
  Metrics metrics_;
  const Validator validator_{[this](const std::string& name_space,
                                    const std::string& name) -> absl::StatusOr<std::string> {
                               if (!failure_.ok()) return failure_;
                               const auto it = services_.find(absl::StrCat(name_space, "/", name));
                               if (it == services_.end())
                                 return absl::NotFoundError("no such service");
                               return it->second;
                             },
                             metrics_};
};

TEST_F(ValidateTest, WhatCanNeverMeanAnythingIsRefusedByField) {
  const struct {
    const char* version;
    const char* spec;
    const char* error;
  } splits[] = {
      {"v1alpha3", "{service: tea, backends: [{service: a, weight: -1}]}",
       "spec.backends[0].weight: "},
      {"v1alpha2", "{service: tea, backends: [{service: a, weight: 0.5}]}",
       "spec.backends[0].weight: expected a whole number, got 0.5"},
      {"v1alpha4", "{service: tea, backends: [{service: a, weight: 500m}]}",
       "spec.backends[0].weight: expected a whole number, got \"500m\""},
      {"v1alpha1", "{service: tea, backends: [{service: a, weight: much}]}",
       "spec.backends[0].weight: "},
      {"v1alpha3", "{service: tea, backends: [{service: a}]}", "spec.backends[0].weight: "},
      {"v1alpha3", "{service: tea, backends: []}", "spec.backends: there are no backends"},
      {"v1alpha3", "{service: tea}", "spec.backends: there are no backends"},
      {"v1alpha3", "{backends: [{service: a, weight: 1}]}", "spec.service: no root service"},
      {"v1alpha3", "{service: tea, backends: [{weight: 1}]}", "spec.backends[0].service: "},
      {"v1alpha3", "{service: tea.other.svc, backends: [{service: a, weight: 1}]}",
       "spec.service: "},
      {"v1alpha3", "{service: tea, backends: [{service: a, weight: 1}, {service: a, weight: 2}]}",
       "spec.backends[1].service: the service \"a\" is listed before"},
      {"v1alpha4",
       "{service: tea, backends: [{service: a, weight: 1}], matches: [{kind: Magic, name: x}]}",
       "spec.matches[0].kind: a split cannot match by a \"Magic\""},
      {"v1alpha4", "{service: 3, backends: [{service: a, weight: 1}]}", "spec.service: "},
      {"v1alpha4", "[]", "spec: "},
  };
  for (const auto& test : splits) {
    const Answer answer = DecideSplit(test.version, test.spec);
    EXPECT_FALSE(answer.allowed) << test.spec;
    EXPECT_THAT(answer.message, HasSubstr(test.error)) << test.spec;
  }
  const struct {
    const char* matches;
    const char* error;
  } groups[] = {
      {"[{name: a, pathRegex: \"(\"}]", "spec.matches[0].pathRegex: "},
      {"[{name: a, headers: {x: \"a(?=b)\"}}]", "spec.matches[0].headers[x]: "},
      {"[{name: a, headers: [{x: \"[\"}]}]", "spec.matches[0].headers[0][x]: "},
      {"[{name: a, methods: [GET]}, {name: a, methods: [PUT]}]", "spec.matches[1].name: "},
      {"[{name: a}]", "spec.matches[0]: the match has no condition"},
      {"[{name: a, methods: [\"G T\"]}]", "spec.matches[0].methods[0]: "},
      {"[{name: a, headers: {\"x y\": b}}]", "spec.matches[0].headers[x y]: "},
      {"[{name: a, cookies: {v: \"*\"}}]", "spec.matches[0].cookies[v]: "},
      {"[{name: a, methods: GET}]", "spec.matches[0].methods: "},
  };
  for (const auto& test : groups) {
    const Answer answer = DecideGroup(test.matches);
    EXPECT_FALSE(answer.allowed) << test.matches;
    EXPECT_THAT(answer.message, HasSubstr(test.error)) << test.matches;
  }
  const struct {
    const char* object;
    const char* error;
  } others[] = {
      {"apiVersion: specs.smi-spec.io/v1alpha3\nkind: TCPRoute\nmetadata: {name: t}\n"
       "spec: {matches: {name: m, ports: [80, 70000]}}",
       "spec.matches.ports[1]: 70000 is no port"},
      {"apiVersion: weft.io/v1\nkind: MeshConfig\nmetadata: {name: default}\n"
       "spec: {mtlsMode: loose}",
       "spec.mtlsMode: there is no mTLS mode \"loose\""},
      {"apiVersion: weft.io/v1\nkind: MeshConfig\nmetadata: {name: default}\n"
       "spec: {lbMethod: best}",
       "spec.lbMethod: there is no load balancing method \"best\""},
      {"apiVersion: weft.io/v1\nkind: MeshConfig\nmetadata: {name: default}\n"
       "spec: {denyUnknownDestinations: maybe}",
       "spec.denyUnknownDestinations: "},
  };
  for (const auto& test : others) {
    const Answer answer = Decide(test.object);
    EXPECT_FALSE(answer.allowed) << test.object;
    EXPECT_THAT(answer.message, HasSubstr(test.error)) << test.object;
  }
}

TEST_F(ValidateTest, WhatMayStillBecomeSomethingPasses) {
  const struct {
    const char* version;
    const char* spec;
  } cases[] = {
      {"v1alpha3", "{service: tea, backends: [{service: a, weight: 30}, {service: b, weight: 3}]}"},
      {"v1alpha1",
       "{service: tea, backends: [{service: a, weight: 500m}, {service: b, weight: 1}]}"},
      {"v1alpha4",
       "{service: tea.1, backends: [{service: tea.1, weight: 0}, {service: tea.2, weight: 100}], "
       "matches: [{kind: HTTPRouteGroup, name: not-there-yet}]}"},
      {"v1alpha4", "{service: tea.shop.svc.cluster.local, backends: [{service: a, weight: 1}]}"},
      {"v1alpha4",
       "{service: tea, backends: [{service: a, weight: 1}], "
       "matches: [{kind: TCPRoute, name: t, apiGroup: specs.smi-spec.io}]}"},
  };
  for (const auto& test : cases) {
    const Answer answer = DecideSplit(test.version, test.spec);
    EXPECT_TRUE(answer.allowed) << test.spec << answer.message;
    EXPECT_THAT(answer.warnings, IsEmpty()) << test.spec;
  }
  const Answer group = DecideGroup(
      "[{name: a, methods: [GET, \"*\"], pathRegex: \"/x.*\", headers: [{X-A: b}, {c: d}]}, "
      "{name: b, cookies: {version: ^beta$}}]");
  EXPECT_TRUE(group.allowed) << group.message;
  EXPECT_THAT(group.warnings, IsEmpty());
  EXPECT_TRUE(Decide("apiVersion: weft.io/v1\nkind: MeshConfig\nmetadata: {name: default}\n"
                     "spec: {mtlsMode: strict, lbMethod: least_conn}")
                  .allowed);
}

TEST_F(ValidateTest, LegalTrapsAreWarnings) {
  const Answer zero =
      DecideSplit("v1alpha3", "{service: tea, backends: [{service: a, weight: 0}]}");
  EXPECT_TRUE(zero.allowed) << zero.message;
  EXPECT_THAT(zero.warnings, ElementsAre(HasSubstr("all weights are zero")));
  const Answer cookie = DecideGroup("[{name: a, headers: {cookie: version=beta}}]");
  EXPECT_TRUE(cookie.allowed) << cookie.message;
  EXPECT_THAT(cookie.warnings, ElementsAre(AllOf(HasSubstr("spec.matches[0].headers[cookie]"),
                                                 HasSubstr("it also matches \"xversion=beta\""))));
  const Answer config =
      Decide("apiVersion: weft.io/v1\nkind: MeshConfig\nmetadata: {name: other}\nspec: {}");
  EXPECT_TRUE(config.allowed);
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("only the MeshConfig \"default\" counts")));
  const Answer typo =
      DecideSplit("v1alpha3", "{service: tea, backend: [], backends: [{service: a, weight: 1}]}");
  EXPECT_TRUE(typo.allowed);
  EXPECT_THAT(typo.warnings, ElementsAre(HasSubstr("spec.backend")));
}

TEST_F(ValidateTest, ARootThatSelectsTheCanaryIsAWarning) {
  const auto service = [](const char* selector) {
    return absl::StrCat(R"({"metadata":{"name":"NAME","namespace":"shop"},"spec":{"selector":)",
                        selector, R"(,"clusterIP":"10.0.0.1","ports":[{"port":80}]}})");
  };
  const auto add = [&](const std::string& name, const char* selector) {
    std::string json = service(selector);
    json.replace(json.find("NAME"), 4, name);
    services_[absl::StrCat("shop/", name)] = json;
  };
  add("tea", R"({"app":"tea"})");
  add("tea-1", R"({"app":"tea","version":"1"})");
  add("tea-2", R"({"app":"tea","version":"2"})");
  const std::string shared =
      "{service: tea, backends: [{service: tea-2, weight: 10}], "
      "matches: [{kind: HTTPRouteGroup, name: g}]}";
  const Answer answer = DecideSplit("v1alpha4", shared);
  EXPECT_TRUE(answer.allowed) << answer.message;
  EXPECT_THAT(answer.warnings,
              ElementsAre(HasSubstr("the selector of \"tea\" also chooses pods of the backend "
                                    "\"tea-2\"")));
  const Answer apart = DecideSplit("v1alpha4",
                                   "{service: tea-1, backends: [{service: tea-2, weight: 10}], "
                                   "matches: [{kind: HTTPRouteGroup, name: g}]}");
  EXPECT_THAT(apart.warnings, IsEmpty());
  failure_ = absl::UnavailableError("away");
  const Answer unknown = DecideSplit("v1alpha4", shared);
  EXPECT_TRUE(unknown.allowed);
  EXPECT_THAT(unknown.warnings, IsEmpty()) << "who cannot look does not guess";
}

TEST_F(ValidateTest, AnOldMistakeDoesNotBlockOtherChanges) {
  const Json bad = ObjectFrom(
      "apiVersion: split.smi-spec.io/v1alpha3\nkind: TrafficSplit\nmetadata: {name: s}\n"
      "spec: {service: tea, backends: []}");
  Review relabelled = ReviewOf(bad, "UPDATE");
  relabelled.old_object = bad;
  relabelled.object["metadata"]["labels"]["a"] = "b";
  const Answer same = validator_.Decide(relabelled);
  EXPECT_TRUE(same.allowed);
  EXPECT_THAT(same.warnings, ElementsAre(HasSubstr("there are no backends")));
  Review changed = relabelled;
  changed.object["spec"]["service"] = "coffee";
  EXPECT_FALSE(validator_.Decide(changed).allowed);
  changed.object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(validator_.Decide(changed).allowed) << "its finalizers must go";
  Review status = ReviewOf(bad, "UPDATE");
  status.sub_resource = "status";
  EXPECT_TRUE(validator_.Decide(status).allowed);
  Review gone = ReviewOf(bad, "DELETE");
  gone.object = nullptr;
  EXPECT_TRUE(validator_.Decide(gone).allowed);
  EXPECT_TRUE(Decide("apiVersion: example.org/v1\nkind: TrafficSplit\nspec: 3").allowed)
      << "somebody else's kind";
}

TEST_F(ValidateTest, RecordedReviewsAreReadAsTheyWereMeant) {
  int reviews = 0;
  for (const auto& entry : std::filesystem::directory_iterator("injector/webhook/testdata")) {
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const Json recording = Json::parse(text.str());
    for (const Json& body : recording["reviews"]) {
      ++reviews;
      const absl::StatusOr<Review> review = ParseReview(Dump(body));
      ASSERT_TRUE(review.ok()) << entry.path() << review.status();
      const Answer answer = validator_.Decide(*review);
      // The recorded webhook refused what Weft warns of: weights that are all zero.
      const bool zero = entry.path().string().find("rejected") != std::string::npos;
      EXPECT_TRUE(answer.allowed) << entry.path() << answer.message;
      EXPECT_THAT(answer.warnings, SizeIs(zero ? 1 : 0)) << entry.path();
    }
  }
  EXPECT_GE(reviews, 7);
}

}  // namespace
}  // namespace weft::webhook
