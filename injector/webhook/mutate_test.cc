#include "injector/webhook/mutate.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::webhook {
namespace {

using inject::BoolAt;
using inject::Dump;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One answer for every namespace.
class FixedNamespaces final : public NamespaceSource {
 public:
  absl::StatusOr<inject::NamespaceFacts> Find(const std::string& name) override {
    ++lookups;
    return answer;
  }
  absl::StatusOr<inject::NamespaceFacts> answer = inject::NamespaceFacts();
  int lookups = 0;
};

class MutateTest : public ::testing::Test {
 protected:
  static Review PodReview(const std::string& metadata, const std::string& name_space = "shop") {
    Review review;
    review.uid = "u";
    review.version = "v1";
    review.kind = "Pod";
    review.name_space = name_space;
    review.operation = "CREATE";
    review.object = Json::parse(R"({"metadata":)" + metadata +
                                R"(,"spec":{"containers":[{"name":"app","image":"a"}]}})");
    return review;
  }

  void Enable() {
    namespaces_.answer = inject::NamespaceFacts{"", {{"weft.io/inject", "enabled"}}, {}};
  }

  FixedNamespaces namespaces_;
  Metrics metrics_;
  Mutator mutator_{inject::Settings(), namespaces_, metrics_};
};

TEST_F(MutateTest, RecordedReviewsAreInjectedWhereTheNamespaceAsksForIt) {
  int reviews = 0;
  for (const auto& entry : std::filesystem::directory_iterator("injector/patch/testdata")) {
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const Json recording = Json::parse(text.str());
    for (const Json& body : recording["reviews"]) {
      ++reviews;
      const absl::StatusOr<Review> review = ParseReview(Dump(body));
      ASSERT_TRUE(review.ok()) << entry.path() << review.status();
      namespaces_.answer = inject::NamespaceFacts();
      const Answer untouched = mutator_.Decide(*review);
      EXPECT_TRUE(untouched.allowed);
      EXPECT_TRUE(untouched.patch.empty()) << entry.path();
      EXPECT_THAT(untouched.warnings, IsEmpty()) << entry.path();
      Enable();
      const Answer answer = mutator_.Decide(*review);
      EXPECT_TRUE(answer.allowed);
      if (BoolAt(review->object["spec"], "hostNetwork", false)) {
        EXPECT_TRUE(answer.patch.empty());
        EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("host's network")));
        continue;
      }
      const Json pod = review->object.patch(answer.patch);
      EXPECT_EQ(pod["spec"]["initContainers"][0]["name"], "weft-init") << entry.path();
    }
  }
  EXPECT_GE(reviews, 10);
}

TEST_F(MutateTest, ANamespaceThatCannotBeReadBlocksNobody) {
  namespaces_.answer = absl::UnavailableError("the API server is away");
  const Answer silent = mutator_.Decide(PodReview("{}"));
  EXPECT_TRUE(silent.allowed);
  EXPECT_TRUE(silent.patch.empty());
  EXPECT_THAT(silent.warnings, ElementsAre(HasSubstr("could not read namespace shop")));
  const Answer asked =
      mutator_.Decide(PodReview(R"({"annotations":{"weft.io/inject":"enabled"}})"));
  EXPECT_FALSE(asked.patch.empty()) << "the pod speaks for itself";
  const Answer refuses = mutator_.Decide(PodReview(R"({"labels":{"weft.io/inject":"disabled"}})"));
  EXPECT_TRUE(refuses.patch.empty());
  EXPECT_THAT(refuses.warnings, IsEmpty());
}

TEST_F(MutateTest, ExcludedNamespacesAreNotEvenLookedUp) {
  for (const char* name : {"kube-system", "weft-system"}) {
    EXPECT_TRUE(mutator_.Decide(PodReview("{}", name)).patch.empty());
  }
  EXPECT_EQ(namespaces_.lookups, 0);
}

TEST_F(MutateTest, OnlyNewPodsAreLookedAt) {
  Enable();
  Review update = PodReview("{}");
  update.operation = "UPDATE";
  Review binding = PodReview("{}");
  binding.sub_resource = "binding";
  Review deployment = PodReview("{}");
  deployment.kind = "Deployment";
  Review foreign = PodReview("{}");
  foreign.group = "example.org";
  Review empty = PodReview("{}");
  empty.object = nullptr;
  for (const Review& review : {update, binding, deployment, foreign, empty}) {
    const Answer answer = mutator_.Decide(review);
    EXPECT_TRUE(answer.allowed);
    EXPECT_TRUE(answer.patch.empty());
  }
}

TEST_F(MutateTest, WhatCannotBeObeyedIsRefusedOnlyWhereASidecarIsWanted) {
  const std::string metadata = R"({"annotations":{"config.weft.io/sidecar-cpu-request":"lots"}})";
  EXPECT_TRUE(mutator_.Decide(PodReview(metadata)).allowed);
  Enable();
  const Answer refused = mutator_.Decide(PodReview(metadata));
  EXPECT_FALSE(refused.allowed);
  EXPECT_THAT(refused.message,
              HasSubstr("metadata.annotations[config.weft.io/sidecar-cpu-request]: expected"));
  Review malformed = PodReview("{}");
  malformed.object["spec"]["containers"] = 3;
  EXPECT_TRUE(mutator_.Decide(malformed).allowed) << "the API server will say what is wrong";
}

TEST_F(MutateTest, NewSettingsHoldForTheNextPod) {
  Enable();
  inject::Settings settings;
  settings.image = "registry.example/new:2";
  mutator_.SetSettings(settings);
  const Review review = PodReview("{}");
  const Json pod = review.object.patch(mutator_.Decide(review).patch);
  EXPECT_EQ(pod["spec"]["initContainers"][1]["image"], "registry.example/new:2");
}

TEST_F(MutateTest, IsCounted) {
  Enable();
  mutator_.Decide(PodReview("{}"));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("weft_injector_pods_total{reason=\"enabled\",verdict=\"inject\"} 1"));
}

}  // namespace
}  // namespace weft::webhook
