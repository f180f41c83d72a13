#include "control-plane/ca/kubernetes/token_reviewer.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "control-plane/ca/kubernetes/api_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Reply = kubernetes::Response;

constexpr char kToken[] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0ZWEifQ.c2lnbmF0dXJl";

Reply Said(int code, const std::string& body) {
  Reply reply;
  reply.code = code;
  reply.body = body;
  return reply;
}

// What a real API server answered.
Reply Recorded(const std::string& name) {
  std::ifstream file(
      absl::StrCat("control-plane/ca/kubernetes/testdata/tokenreview-", name, ".json"));
  const nlohmann::json recording = nlohmann::json::parse(file);
  const nlohmann::json& response = recording["response"];
  return Said(response["status"], response["body"].dump());
}

class TokenReviewerTest : public ::testing::Test {
 protected:
  void Answer(const Reply& reply) {
    server_.Intercept([reply](const kubernetes::Request&) { return reply; });
  }
  absl::StatusOr<PodToken> Review(PodTokenReviewer& reviewer, const std::string& token = kToken) {
    absl::Notification answered;
    absl::StatusOr<PodToken> answer;
    reviewer.Review(token, [&](absl::StatusOr<PodToken> given) {
      answer = std::move(given);
      answered.Notify();
    });
    EXPECT_TRUE(answered.WaitForNotificationWithTimeout(absl::Seconds(20)));
    return answer;
  }
  size_t Asked() const { return server_.Calls("POST", "tokenreviews").size(); }

  ApiForTest server_;
};

TEST_F(TokenReviewerTest, WhatARealServerAnsweredIsUnderstood) {
  struct Case {
    const char* recording;
    absl::StatusCode code;
    const char* words;  // of the refusal, or the pod
  };
  using enum absl::StatusCode;
  for (const Case& c : std::vector<Case>{
           {"good", kOk, "web-1"},
           {"as-auth-delegator", kOk, "web-1"},
           {"good-unbound", kOk, ""},
           {"several-audiences", kOk, ""},
           {"bad-signature", kUnauthenticated, "error in cryptographic primitive"},
           {"default-audience-token", kUnauthenticated, "audience \"weft\""},
           {"default-token-asked-weft", kUnauthenticated, "is invalid for the target audiences"},
           {"expired", kUnauthenticated, "has expired"},
           {"garbage", kUnauthenticated, "invalid bearer token"},
           {"no-audiences", kUnauthenticated, "is invalid for the target audiences"},
           {"other-issuer", kUnauthenticated, "invalid bearer token"},
           {"static-token", kUnauthenticated, "audience \"weft\""},
           {"static-token-audience", kUnauthenticated, "invalid bearer token"},
           {"wrong-audience", kUnauthenticated, "is invalid for the target audiences"},
           {"empty-token-400", kUnauthenticated, "malformed"},
           {"without-right-403", kUnavailable, "cannot create resource \"tokenreviews\""},
       }) {
    Answer(Recorded(c.recording));
    KubernetesTokenReviewer reviewer(server_.call());
    const absl::StatusOr<PodToken> answer = Review(reviewer);
    EXPECT_EQ(answer.status().code(), c.code) << c.recording << answer.status();
    if (answer.ok()) {
      EXPECT_EQ(answer->name_space, "tok") << c.recording;
      EXPECT_EQ(answer->service_account, "web") << c.recording;
      EXPECT_EQ(answer->pod, c.words) << c.recording;
      EXPECT_EQ(answer->pod_uid.empty(), answer->pod.empty()) << c.recording;
    } else {
      EXPECT_THAT(std::string(answer.status().message()), HasSubstr(c.words)) << c.recording;
    }
  }
}

TEST_F(TokenReviewerTest, ItAsksForTheMeshsAudience) {
  Answer(Recorded("good"));
  KubernetesTokenReviewer reviewer(server_.call());
  ASSERT_TRUE(Review(reviewer).ok());
  const std::vector<kubernetes::Request> calls =
      server_.Calls("POST", "/apis/authentication.k8s.io/v1/");
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(
      nlohmann::json::parse(calls[0].body),
      nlohmann::json::parse(absl::StrCat(
          R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":")",
          kToken, R"(","audiences":["weft"]}})")));
}

TEST_F(TokenReviewerTest, AGoodTokenIsRememberedAndABadOneIsNot) {
  Answer(Recorded("good"));
  KubernetesTokenReviewer reviewer(server_.call());
  ASSERT_TRUE(Review(reviewer).ok());
  EXPECT_TRUE(Review(reviewer).ok());
  EXPECT_EQ(Asked(), 1U);
  Answer(Recorded("expired"));
  EXPECT_FALSE(Review(reviewer, "a.b.c").ok());
  EXPECT_FALSE(Review(reviewer, "a.b.c").ok());
  EXPECT_EQ(Asked(), 3U);
}

TEST_F(TokenReviewerTest, WhatIsRememberedIsForgottenSoon) {
  Answer(Recorded("good"));
  KubernetesTokenReviewer reviewer(server_.call(), {.remember = absl::ZeroDuration()});
  ASSERT_TRUE(Review(reviewer).ok());
  ASSERT_TRUE(Review(reviewer).ok());
  EXPECT_EQ(Asked(), 2U);
}

TEST_F(TokenReviewerTest, AnApiServerThatFailsOrTalksNonsenseIsUnavailableNotARefusal) {
  KubernetesTokenReviewer reviewer(server_.call());
  for (const Reply& reply :
       std::vector<Reply>{ApiForTest::Refusal(500, "Internal"), ApiForTest::Refusal(429, "TooMany"),
                          Said(201, "not json"), Said(201, "[]"), Said(200, R"({"status":7})")}) {
    Answer(reply);
    EXPECT_EQ(Review(reviewer).status().code(), absl::StatusCode::kUnavailable) << reply.body;
  }
  server_.Intercept([](const auto&) { return absl::DeadlineExceededError("silence"); });
  EXPECT_EQ(Review(reviewer).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(TokenReviewerTest, StrangeAnswersVouchForNobody) {
  for (const char* status : {
           R"({"authenticated":"true","audiences":["weft"]})",
           R"({"authenticated":true,"audiences":"weft","user":{}})",
           R"({"authenticated":true,"audiences":["weft"],"user":{"username":"admin"}})",
           R"({"authenticated":true,"audiences":["weft"],"user":{"username":7}})",
           R"({"authenticated":true,"audiences":["weft"],
               "user":{"username":"system:serviceaccount:a:b:c"}})",
           R"({"authenticated":true,"audiences":["weft"],
               "user":{"username":"system:serviceaccount:a/b:c"}})",
           R"({"authenticated":true,"audiences":["weft"],
               "user":{"username":"system:serviceaccount:a:b",
                       "extra":{"authentication.kubernetes.io/pod-name":["p"]}}})",
       }) {
    const absl::StatusOr<PodToken> answer =
        ReadTokenReview(absl::StrCat(R"({"status":)", status, "}"), kToken);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnauthenticated) << status;
  }
}

TEST_F(TokenReviewerTest, ATokenIsNeverRepeatedInAMessage) {
  const std::string body = absl::StrCat(R"({"status":{"error":"bad token )", kToken, R"("}})");
  EXPECT_THAT(std::string(ReadTokenReview(body, kToken).status().message()),
              Not(HasSubstr(kToken)));
}

TEST_F(TokenReviewerTest, TooManyAtATimeAreSentAwayAndTheEndAnswersEverybody) {
  absl::Notification release;
  server_.Intercept([&](const kubernetes::Request&) {
    release.WaitForNotification();
    return Recorded("good");
  });
  std::vector<absl::StatusOr<PodToken>> answers(10, absl::UnknownError("none"));
  {
    KubernetesTokenReviewer reviewer(server_.call(), {.threads = 1, .queue = 3});
    for (size_t i = 0; i < answers.size(); ++i) {
      reviewer.Review(absl::StrCat("a.b.", i),
                      [&answers, i](absl::StatusOr<PodToken> given) { answers[i] = given; });
    }
    EXPECT_EQ(answers.back().status().code(), absl::StatusCode::kResourceExhausted);
    release.Notify();
  }
  for (const auto& answer : answers) EXPECT_NE(answer.status().code(), absl::StatusCode::kUnknown);
}

TEST(IsJwtTest, ThreePartsOfBase64UrlAreOne) {
  EXPECT_TRUE(IsJwt(kToken));
  EXPECT_TRUE(IsJwt("a-_.b.c"));
  for (const char* other :
       {"", "weft-join-abc", "a.b", "a.b.c.d", ".b.c", "a..c", "a.b.", "a.b.c="}) {
    EXPECT_FALSE(IsJwt(other)) << other;
  }
}

}  // namespace
}  // namespace weft::ca
