#include "base/kubernetes/client.h"

#include <atomic>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "base/kubernetes/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::kubernetes {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Header(const ApiServerForTest::Call& call, const std::string& name) {
  auto it = call.headers.find(name);
  return it == call.headers.end() ? "" : it->second;
}

std::string WriteFile(const std::string& name, const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path) << content;
  return path;
}

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> MakeClient(Config config) { return *Client::Create(std::move(config)); }

  std::atomic<bool> done_ = false;  // outlives the server, whose threads may look at it
  ApiServerForTest server_;
};

TEST_F(ClientTest, SaysWhoAsksAndWhatItTakes) {
  server_.Say("/version", {.body = "{}"});
  std::unique_ptr<Client> client = MakeClient(server_.config());
  absl::StatusOr<Response> response = client->Call({.path = "/version"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->code, 200);
  EXPECT_EQ(response->body, "{}");
  const ApiServerForTest::Call call = server_.Calls().at(0);
  EXPECT_EQ(Header(call, "Authorization"), "Bearer token-1");
  EXPECT_EQ(Header(call, "Accept"), "application/json");
  EXPECT_EQ(Header(call, "Accept-Encoding"), "gzip");
  EXPECT_THAT(Header(call, "User-Agent"), HasSubstr("weft/"));
}

TEST_F(ClientTest, SendsBodiesWithTheirMethodAndType) {
  server_.SetHandler([](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
    reply.body = absl::StrCat(call.method, " ", Header(call, "Content-Type"), " ", call.body);
    return true;
  });
  std::unique_ptr<Client> client = MakeClient(server_.config());
  EXPECT_EQ(client->Call({.method = "POST", .path = "/a", .body = "{}"})->body,
            "POST application/json {}");
  EXPECT_EQ(client->Call({.method = "PUT", .path = "/a", .body = "[1]"})->body,
            "PUT application/json [1]");
  EXPECT_EQ(client
                ->Call({.method = "PATCH",
                        .path = "/a",
                        .body = "{}",
                        .content_type = "application/merge-patch+json"})
                ->body,
            "PATCH application/merge-patch+json {}");
  EXPECT_EQ(client->Call({.method = "DELETE", .path = "/a"})->body, "DELETE  ");
  EXPECT_EQ(client->Call({.path = "/a"})->body, "GET  ");
}

TEST_F(ClientTest, TrustsOnlyTheConfiguredAuthorityAndName) {
  server_.Say("/version", {.body = "{}"});
  const ApiServerForTest stranger(0, "stranger");
  Config config = server_.config();
  config.ca_pem = stranger.config().ca_pem;
  absl::StatusOr<Response> response = MakeClient(config)->Call({.path = "/version"});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable) << response.status();
  EXPECT_TRUE(server_.Calls().empty());

  config = server_.config();
  config.tls_server_name = "kubernetes.default.svc";
  EXPECT_TRUE(MakeClient(config)->Call({.path = "/version"}).ok());
  config.tls_server_name = "other.default.svc";
  EXPECT_FALSE(MakeClient(config)->Call({.path = "/version"}).ok());
}

TEST_F(ClientTest, ReadsTheAuthorityAnewWhenItNoLongerFits) {
  server_.Say("/version", {.body = "{}"});
  const ApiServerForTest stranger(0, "stranger");
  Config config = server_.config();
  config.ca_file = WriteFile("ca.crt", config.ca_pem);
  config.ca_pem = stranger.config().ca_pem;  // what the file said at start
  EXPECT_TRUE(MakeClient(config)->Call({.path = "/version"}).ok());
}

TEST_F(ClientTest, ReadsTheTokenForEveryRequestAndAsksAgainWhenItHasExpired) {
  Config config = server_.config();
  config.token.clear();
  config.token_file = WriteFile("token", "old\n");
  server_.SetHandler([&](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
    const bool fresh = Header(call, "Authorization") == "Bearer new";
    if (!fresh) WriteFile("token", "new\n");  // the kubelet replaces it just now
    reply = {.code = fresh ? 200 : 401, .body = "{}"};
    return true;
  });
  EXPECT_EQ(MakeClient(config)->Call({.path = "/version"})->code, 200);
  EXPECT_EQ(server_.Calls().size(), 2u);
}

TEST_F(ClientTest, A401StaysA401AfterOneMoreAttempt) {
  Config config = server_.config();
  config.token.clear();
  config.token_file = WriteFile("token", "bad");
  server_.Say("/version", {.code = 401, .body = "{}"});
  absl::StatusOr<Response> response = MakeClient(config)->Call({.path = "/version"});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(StatusOf(*response, "get", "version").code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(server_.Calls().size(), 2u);
}

TEST_F(ClientTest, TellsHowLongTheServerWantsToBeLeftAlone) {
  server_.Say("/busy", {.code = 429, .body = "{}", .headers = {{"Retry-After", "7"}}});
  absl::StatusOr<Response> response = MakeClient(server_.config())->Call({.path = "/busy"});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->retry_after, absl::Seconds(7));
}

TEST_F(ClientTest, RefusesAnswersThatAreTooLarge) {
  server_.Say("/large", {.body = std::string(1 << 20, 'x')});
  absl::StatusOr<Response> response =
      MakeClient(server_.config())->Call({.path = "/large", .max_response_bytes = 1000});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ClientTest, GivesUpAfterTheTimeoutAndAtCancellation) {
  server_.SetHandler([this](const ApiServerForTest::Call&, ApiServerForTest::Reply& reply) {
    while (!done_) std::this_thread::yield();
    return true;
  });
  std::unique_ptr<Client> client = MakeClient(server_.config());
  EXPECT_EQ(client->Call({.path = "/slow", .timeout = absl::Milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  Cancellation cancellation;
  std::thread canceller([&] {
    while (server_.Calls().size() < 2) std::this_thread::yield();
    cancellation.Cancel();
  });
  EXPECT_EQ(client->Call({.path = "/slow"}, &cancellation).status().code(),
            absl::StatusCode::kCancelled);
  canceller.join();
  done_ = true;
}

TEST_F(ClientTest, NobodyThereIsUnavailable) {
  Config config = server_.config();
  config.server = "https://127.0.0.1:1";
  EXPECT_EQ(MakeClient(config)->Call({.path = "/"}).status().code(),
            absl::StatusCode::kUnavailable);
}

// Runs a stream on a thread of its own.
class Follower {
 public:
  Follower(Client& client, StreamRequest request)
      : thread_([this, &client, request = std::move(request)] {
          response_ = client.Stream(
              request,
              [this](std::string_view line) {
                const std::lock_guard lock(mutex_);
                lines_.emplace_back(line);
                return line != "enough";
              },
              cancellation_);
        }) {}
  ~Follower() {
    cancellation_.Cancel();
    if (thread_.joinable()) thread_.join();
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  absl::StatusOr<Response> Join() {
    thread_.join();
    return response_;
  }
  std::vector<std::string> Lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  void Cancel() { cancellation_.Cancel(); }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  Cancellation cancellation_;
  absl::StatusOr<Response> response_ = absl::UnknownError("has not ended");
  std::thread thread_;
};

TEST_F(ClientTest, LinesDoNotDependOnHowTheyAreCutIntoChunks) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  std::shared_ptr<WatchForTest> watch = server_.AwaitWatch("/w");
  ASSERT_NE(watch, nullptr);
  watch->Send("one\ntwo\nth");
  watch->Send("r");
  watch->Send("ee\n\nfour");
  watch->Send("\n");
  watch->End();
  absl::StatusOr<Response> response = follower.Join();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->code, 200);
  EXPECT_THAT(follower.Lines(), ElementsAre("one", "two", "three", "four"));
}

TEST_F(ClientTest, AStreamThatBreaksIsUnavailable) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  std::shared_ptr<WatchForTest> watch = server_.AwaitWatch("/w");
  watch->Send("one\n");
  watch->Break();
  EXPECT_EQ(follower.Join().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(follower.Lines(), ElementsAre("one"));
}

TEST_F(ClientTest, AStreamThatEndsAmidALineIsUnavailable) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  std::shared_ptr<WatchForTest> watch = server_.AwaitWatch("/w");
  watch->Send("one\ntw");
  watch->End();
  EXPECT_EQ(follower.Join().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, ASilentStreamIsGivenUp) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true", .silence = absl::Milliseconds(100)});
  EXPECT_EQ(follower.Join().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, ALineThatIsTooLongEndsTheStream) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true", .max_line_bytes = 10});
  std::shared_ptr<WatchForTest> watch = server_.AwaitWatch("/w");
  watch->Send("123456");
  watch->Send("7890\n");
  watch->Send("12345678901");
  EXPECT_EQ(follower.Join().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(follower.Lines(), ElementsAre("1234567890"));
}

TEST_F(ClientTest, CancellationEndsAnOpenStreamAtOnce) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  ASSERT_NE(server_.AwaitWatch("/w"), nullptr);
  follower.Cancel();
  EXPECT_EQ(follower.Join().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ClientTest, TheReaderCanEndTheStream) {
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  std::shared_ptr<WatchForTest> watch = server_.AwaitWatch("/w");
  watch->Send("one\nenough\nthree\n");
  absl::StatusOr<Response> response = follower.Join();
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(follower.Lines(), ElementsAre("one", "enough"));
}

TEST_F(ClientTest, ARefusedStreamIsAResponseWithItsBody) {
  server_.RefuseWatch("/w", {.code = 403, .body = "no"});
  std::unique_ptr<Client> client = MakeClient(server_.config());
  Follower follower(*client, {.path = "/w?watch=true"});
  absl::StatusOr<Response> response = follower.Join();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->code, 403);
  EXPECT_EQ(response->body, "no");
  EXPECT_TRUE(follower.Lines().empty());
}

TEST(EscapeUrl, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(EscapeUrl("a-Z.0_~"), "a-Z.0_~");
  EXPECT_EQ(EscapeUrl("a/b=c&d e+\xff"), "a%2Fb%3Dc%26d%20e%2B%FF");
}

}  // namespace
}  // namespace weft::kubernetes
