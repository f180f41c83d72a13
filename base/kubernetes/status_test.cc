#include "base/kubernetes/status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::kubernetes {
namespace {

using ::testing::HasSubstr;

TEST(StatusOf, CodesFollowTheAnswer) {
  const struct {
    int code;
    std::string_view body;
    absl::StatusCode expected;
  } kCases[] = {
      {200, "", absl::StatusCode::kOk},
      {201, "", absl::StatusCode::kOk},
      {400, "", absl::StatusCode::kInvalidArgument},
      {401, "", absl::StatusCode::kUnauthenticated},
      {403, "", absl::StatusCode::kPermissionDenied},
      {404, "404 page not found\n", absl::StatusCode::kNotFound},
      {405, "", absl::StatusCode::kUnknown},
      {409, R"({"reason":"Conflict"})", absl::StatusCode::kAborted},
      {409, R"({"reason":"AlreadyExists"})", absl::StatusCode::kAlreadyExists},
      {410, "", absl::StatusCode::kOutOfRange},
      {413, "", absl::StatusCode::kResourceExhausted},
      {415, "", absl::StatusCode::kInvalidArgument},
      {422, "", absl::StatusCode::kInvalidArgument},
      {429, "", absl::StatusCode::kUnavailable},
      {500, "", absl::StatusCode::kUnavailable},
      {504, "[1]", absl::StatusCode::kUnavailable},
  };
  for (const auto& c : kCases) {
    Response response{.code = c.code, .body = std::string(c.body), .content_type = {}};
    EXPECT_EQ(StatusOf(response, "list", "pods").code(), c.expected) << c.code;
  }
}

TEST(StatusOf, NamesVerbAndResourceAndTheServersWords) {
  const Response response{
      .code = 403,
      .body = R"({"kind":"Status","reason":"Forbidden","message":"pods is forbidden","code":403})",
      .content_type = "application/json"};
  EXPECT_EQ(StatusOf(response, "watch", "pods").message(),
            "watch pods: 403 Forbidden: pods is forbidden");
}

TEST(ParseRefusal, ReadsWhatAnExpiredListSays) {
  const Refusal refusal = ParseRefusal(
      R"({"kind":"Status","metadata":{"continue":"abc"},"reason":"Expired","code":410,
          "details":{"retryAfterSeconds":3}})",
      0);
  EXPECT_EQ(refusal.code, 410);
  EXPECT_EQ(refusal.reason, "Expired");
  EXPECT_EQ(refusal.continue_token, "abc");
  EXPECT_EQ(refusal.retry_after, absl::Seconds(3));
}

TEST(ParseRefusal, TakesWhateverServersSay) {
  for (const char* body : {"", "null", "[]", "{", "{\"code\":\"x\",\"details\":[],\"metadata\":1}",
                           "{\"details\":{\"retryAfterSeconds\":-5}}"}) {
    const Refusal refusal = ParseRefusal(body, 503);
    EXPECT_EQ(refusal.code, 503) << body;
    EXPECT_EQ(refusal.retry_after, absl::ZeroDuration()) << body;
  }
  EXPECT_EQ(ParseRefusal("two\nlines\n", 500).message, "two lines");
  EXPECT_LE(ParseRefusal(std::string(1 << 20, 'x'), 500).message.size(), 1024u);
}

}  // namespace
}  // namespace weft::kubernetes
