#include "injector/webhook/namespaces.h"

#include <functional>

#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::webhook {
namespace {

using kubernetes::ApiServerForTest;
using ::testing::IsEmpty;

constexpr char kNamespaces[] = "/api/v1/namespaces";

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

class NamespacesTest : public ::testing::Test {
 protected:
  NamespacesTest() : client_(*kubernetes::Client::Create(server_.config())) {}

  std::string InjectOf(WatchedNamespaces& namespaces, const std::string& name) {
    const absl::StatusOr<inject::NamespaceFacts> found = namespaces.Find(name);
    if (!found.ok()) return found.status().ToString();
    const auto it = found->annotations.find("weft.io/inject");
    return it == found->annotations.end() ? "" : it->second;
  }

  ApiServerForTest server_;
  std::unique_ptr<kubernetes::Client> client_;
  Metrics metrics_;
};

TEST_F(NamespacesTest, AreFollowedByTheWatch) {
  WatchedNamespaces namespaces(*client_, metrics_);
  const auto list = server_.AwaitWatch(kNamespaces);
  ASSERT_NE(list, nullptr);
  list->Send(
      R"({"type":"ADDED","object":{"metadata":{"name":"shop","resourceVersion":"1","annotations":{"weft.io/inject":"enabled"}}}})"
      "\n"
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}})"
      "\n");
  const auto watch = server_.AwaitWatch(kNamespaces);
  ASSERT_NE(watch, nullptr);
  ASSERT_TRUE(Eventually([&] { return namespaces.Settled(); }));
  EXPECT_EQ(InjectOf(namespaces, "shop"), "enabled");
  EXPECT_THAT(server_.Targets("/namespaces/"), IsEmpty()) << "known, so nobody asks for it";
  watch->Send(R"({"type":"MODIFIED","object":{"metadata":{"name":"shop","resourceVersion":"2"}}})"
              "\n");
  EXPECT_TRUE(Eventually([&] { return InjectOf(namespaces, "shop").empty(); }));
}

TEST_F(NamespacesTest, AnUnknownOneIsAskedForDirectly) {
  WatchedNamespaces namespaces(*client_, metrics_);
  server_.Say(
      "/api/v1/namespaces/new",
      {.body = R"({"metadata":{"name":"new","annotations":{"weft.io/inject":"enabled"}}})"});
  EXPECT_EQ(InjectOf(namespaces, "new"), "enabled");
  EXPECT_TRUE(absl::IsNotFound(namespaces.Find("none").status()));
}

TEST_F(NamespacesTest, WithoutTheRightToWatchEveryoneIsAskedFor) {
  server_.Say(kNamespaces, {.code = 403, .body = R"({"kind":"Status","code":403})"});
  for (int i = 0; i < 4; ++i) {
    server_.RefuseWatch(kNamespaces, {.code = 403, .body = R"({"kind":"Status","code":403})"});
  }
  server_.Say(
      "/api/v1/namespaces/shop",
      {.body = R"({"metadata":{"name":"shop","annotations":{"weft.io/inject":"enabled"}}})"});
  WatchedNamespaces namespaces(*client_, metrics_);
  EXPECT_EQ(InjectOf(namespaces, "shop"), "enabled");
}

TEST_F(NamespacesTest, AnErrorIsAnErrorAndNotAnAbsence) {
  server_.Say("/api/v1/namespaces/shop", {.code = 503, .body = "overloaded"});
  WatchedNamespaces namespaces(*client_, metrics_);
  EXPECT_TRUE(absl::IsUnavailable(namespaces.Find("shop").status()));
}

}  // namespace
}  // namespace weft::webhook
