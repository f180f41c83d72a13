#include "injector/webhook/ca_bundle.h"

#include <mutex>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/authority_for_test.h"

namespace weft::webhook {
namespace {

using inject::Dump;
using inject::Json;
using kubernetes::ApiServerForTest;

constexpr char kMutating[] =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-injector";
constexpr char kValidating[] =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/weft-injector";

std::string NewRoot() { return AuthorityForTest().Root(); }

TEST(BundlePolicyTest, AddsWhatIsMissingAndKeepsWhatOthersAddedForAWhile) {
  const std::string a = NewRoot(), b = NewRoot(), c = NewRoot();
  BundlePolicy policy(absl::Minutes(10));
  const absl::Time start = absl::UnixEpoch();
  EXPECT_EQ(policy.Replacement("", {a}, start), a);
  EXPECT_EQ(policy.Replacement("nonsense", {a}, start), a);
  EXPECT_EQ(policy.Replacement(a, {a}, start), std::nullopt);
  EXPECT_EQ(policy.Replacement(a + "\n# comment\n" + b, {b, a}, start), std::nullopt)
      << "neither order nor layout matters";
  EXPECT_EQ(policy.Replacement(a + b, {a}, start), std::nullopt) << "another replica's, perhaps";
  const std::optional<std::string> merged = policy.Replacement(b, {c}, start + absl::Minutes(1));
  ASSERT_TRUE(merged.has_value());
  EXPECT_EQ(CertificatesIn(*merged)->size(), 2);
  EXPECT_EQ(policy.Replacement(*merged, {c}, start + absl::Minutes(9)), std::nullopt);
  EXPECT_EQ(policy.Replacement(*merged, {c}, start + absl::Minutes(12)), c);
}

TEST(CaBundlePatchTest, TouchesOnlyTheBundles) {
  const std::string root = NewRoot();
  const Json configuration = Json::parse(
      R"({"webhooks":[{"name":"a","clientConfig":{"service":{"name":"s"},"caBundle":"Cg=="}},)"
      R"({"name":"b"},{"name":"c","clientConfig":{"url":"https://x"}}]})");
  BundlePolicies policies;
  const Json patch = CaBundlePatch(configuration, {root}, policies, absl::Now());
  EXPECT_EQ(patch.size(), 4);
  const Json patched = configuration.patch(patch);
  Json expected = configuration;
  expected["webhooks"][0]["clientConfig"]["caBundle"] = absl::Base64Escape(root);
  expected["webhooks"][2]["clientConfig"]["caBundle"] = absl::Base64Escape(root);
  EXPECT_EQ(Dump(patched), Dump(expected));
  EXPECT_TRUE(CaBundlePatch(patched, {root}, policies, absl::Now()).empty());
  EXPECT_TRUE(CaBundlePatch(Json::parse("{}"), {root}, policies, absl::Now()).empty());
}

// A webhook configuration that is kept by a server: GET shows it, PATCH changes it.
class Configuration {
 public:
  explicit Configuration(ApiServerForTest& server) {
    Reset();
    Serve(server);
  }

  void Reset() {
    const std::lock_guard lock(mutex_);
    json_ = Json::parse(R"({"webhooks":[{"name":"a","clientConfig":{}}]})");
  }
  std::string Bundle() {
    const std::lock_guard lock(mutex_);
    std::string bundle;
    absl::Base64Unescape(inject::StringAt(json_["webhooks"][0]["clientConfig"], "caBundle"),
                         &bundle);
    return bundle;
  }
  void ConflictOnce() { conflicts_ = 1; }

 private:
  void Serve(ApiServerForTest& server) {
    server.SetHandler([this](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
      if (!call.target.starts_with(kMutating)) return false;
      const std::lock_guard lock(mutex_);
      if (call.method == "PATCH") {
        EXPECT_EQ(call.headers.find("Content-Type")->second, "application/json-patch+json");
        if (conflicts_.fetch_sub(1) > 0) {
          reply = {.code = 409, .body = R"({"kind":"Status","reason":"Conflict","code":409})"};
          return true;
        }
        json_ = json_.patch(Json::parse(call.body));
      }
      reply = {.code = 200, .body = Dump(json_)};
      return true;
    });
  }

  std::mutex mutex_;
  Json json_;
  std::atomic<int> conflicts_ = 0;
};

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

TEST(CaBundleWriterTest, WritesRepairsAndFollowsTheRoots) {
  ApiServerForTest server;
  Configuration configuration(server);
  configuration.ConflictOnce();
  const auto client = kubernetes::Client::Create(server.config());
  ASSERT_TRUE(client.ok()) << client.status();
  std::mutex mutex;
  std::vector<std::string> roots;
  Metrics metrics;
  CaBundleWriter writer(
      **client, "weft-injector",
      [&] {
        const std::lock_guard lock(mutex);
        return roots;
      },
      metrics, absl::Milliseconds(10));
  EXPECT_FALSE(writer.Written()) << "there is no certificate yet";
  const std::string root = NewRoot();
  {
    const std::lock_guard lock(mutex);
    roots = {root};
  }
  EXPECT_TRUE(Eventually([&] { return configuration.Bundle() == root; }));
  EXPECT_TRUE(Eventually([&] { return writer.Written(); })) << "the other one does not exist";
  configuration.Reset();
  EXPECT_TRUE(Eventually([&] { return configuration.Bundle() == root; }));
  const std::string second = NewRoot();
  {
    const std::lock_guard lock(mutex);
    roots = {root, second};
  }
  EXPECT_TRUE(Eventually([&] { return CertificatesIn(configuration.Bundle())->size() == 2; }));
}

TEST(CaBundleWriterTest, IsNotWrittenWhileItMayNotWrite) {
  ApiServerForTest server;
  server.Say(kMutating, {.code = 403, .body = R"({"kind":"Status","code":403,"message":"no"})"});
  server.Say(kValidating, {.code = 200, .body = "{}"});
  const auto client = kubernetes::Client::Create(server.config());
  ASSERT_TRUE(client.ok());
  Metrics metrics;
  CaBundleWriter writer(
      **client, "weft-injector", [root = NewRoot()] { return std::vector{root}; }, metrics,
      absl::Milliseconds(10));
  EXPECT_TRUE(Eventually([&] { return server.Targets(kMutating).size() > 2; }));
  EXPECT_FALSE(writer.Written());
  server.Say(kMutating, {.code = 404, .body = R"({"kind":"Status","code":404})"});
  EXPECT_TRUE(Eventually([&] { return writer.Written(); }));
}

}  // namespace
}  // namespace weft::webhook
