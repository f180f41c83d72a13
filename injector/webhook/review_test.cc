#include "injector/webhook/review.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/server.h"

namespace weft::webhook {
namespace {

using inject::Dump;
using ::testing::HasSubstr;

std::string ReviewOf(const std::string& request) {
  return absl::StrCat(R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":)",
                      request, "}");
}

TEST(ReviewTest, WhatIsNoReviewIsNamed) {
  const struct {
    std::string body;
    const char* error;
  } cases[] = {
      {"", "it is no JSON"},
      {"{", "it is no JSON"},
      {"[]", "expected kind AdmissionReview"},
      {"null", "expected kind AdmissionReview"},
      {R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"})",
       "admission.k8s.io/v1"},
      {ReviewOf("null"), "request: expected an object"},
      {ReviewOf("[1]"), "request: expected an object"},
      {ReviewOf("{}"), "request.uid"},
      {ReviewOf(R"({"uid":7})"), "request.uid"},
      {ReviewOf(R"({"uid":"u"})"), "request.kind.kind"},
      {ReviewOf(R"({"uid":"u","kind":{"kind":""}})"), "request.kind.kind"},
      {ReviewOf(R"({"uid":"u","kind":{"kind":"Pod"},"object":[]})"), "request.object"},
      {ReviewOf(R"({"uid":"u","kind":{"kind":"Pod"},"oldObject":"x"})"), "request.oldObject"},
      {std::string(200'000, '['), "nested more than"},
  };
  for (const auto& test : cases) {
    const absl::StatusOr<Review> review = ParseReview(test.body);
    EXPECT_THAT(review.status().message(), HasSubstr(test.error)) << test.body.substr(0, 80);
    const HttpAnswer answer = AnswerReview("application/json", test.body, nullptr);
    EXPECT_EQ(answer.status, 400) << test.body.substr(0, 80);
  }
}

TEST(ReviewTest, OnlyJsonOfABoundedSizeIsRead) {
  EXPECT_EQ(AnswerReview("text/yaml", "{}", nullptr).status, 415);
  EXPECT_EQ(AnswerReview("", "{}", nullptr).status, 415);
  EXPECT_EQ(AnswerReview("application/json", std::string(kMaxReviewBytes + 1, ' '), nullptr).status,
            413);
}

TEST(ReviewTest, SubjectsAreNamedAsFarAsTheyHaveNames) {
  const struct {
    const char* request;
    const char* subject;
  } cases[] = {
      {R"({"uid":"u","kind":{"kind":"Pod"},"namespace":"shop","name":"web"})", "Pod shop/web"},
      {R"({"uid":"u","kind":{"kind":"Pod"},"namespace":"shop",)"
       R"("object":{"metadata":{"generateName":"web-"}}})",
       "Pod shop/web-*"},
      {R"({"uid":"u","kind":{"kind":"Pod"},"object":{"metadata":{"name":"x"}}})", "Pod x"},
      {R"({"uid":"u","kind":{"kind":"Pod"},"oldObject":{"metadata":{"name":"x"}}})", "Pod x"},
      {R"({"uid":"u","kind":{"kind":"Pod"},"object":{"metadata":3}})", "Pod *"},
  };
  for (const auto& test : cases) {
    const absl::StatusOr<Review> review = ParseReview(ReviewOf(test.request));
    ASSERT_TRUE(review.ok()) << review.status();
    EXPECT_EQ(review->Subject(), test.subject);
  }
}

TEST(ReviewTest, AnswersAreWhatAnApiServerReads) {
  EXPECT_EQ(RenderAnswer("u", {}),
            R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",)"
            R"("response":{"uid":"u","allowed":true}})");
  const Json refused = Json::parse(RenderAnswer(
      "u", {.allowed = false, .message = "no", .patch = Json::parse(R"([{"op":1}])")}));
  EXPECT_EQ(
      Dump(refused["response"]),
      R"({"uid":"u","allowed":false,"status":{"message":"no","reason":"Invalid","code":422}})");
  const Json patched =
      Json::parse(RenderAnswer("u", {.patch = Json::parse(R"([{"op":"add"}])")}))["response"];
  EXPECT_EQ(patched["patchType"], "JSONPatch");
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(patched["patch"].get<std::string>(), &patch));
  EXPECT_EQ(patch, R"([{"op":"add"}])");
}

TEST(ReviewTest, WarningsAreCutToWhatIsPassedOn) {
  Answer answer;
  for (int i = 0; i < 100; ++i) answer.warnings.push_back(std::string(249, 'x') + "éé");
  const Json warnings = Json::parse(RenderAnswer("u", answer))["response"]["warnings"];
  EXPECT_EQ(warnings.size(), 16);
  for (const Json& warning : warnings) {
    EXPECT_LE(warning.get<std::string>().size(), 250);
    EXPECT_TRUE(warning.get<std::string>().ends_with("..."));
  }
}

}  // namespace
}  // namespace weft::webhook
