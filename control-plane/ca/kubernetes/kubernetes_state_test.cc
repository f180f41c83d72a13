// The CA's objects in an API server: the root, the operator token, the replicas' reports, and the
// published roots.
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "control-plane/ca/kubernetes/api_for_test.h"
#include "control-plane/ca/kubernetes/replica_board.h"
#include "control-plane/ca/kubernetes/root_publisher.h"
#include "control-plane/ca/kubernetes/secret_state_store.h"
#include "control-plane/ca/kubernetes/supplied_secret.h"
#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kCaPath[] = "/api/v1/namespaces/mesh/secrets/weft-ca";
constexpr char kTokenPath[] = "/api/v1/namespaces/mesh/secrets/weft-operator";
constexpr char kReplicasPath[] = "/api/v1/namespaces/mesh/configmaps/weft-replicas";

std::string RootPath(const std::string& name_space) {
  return absl::StrCat("/api/v1/namespaces/", name_space, "/configmaps/weft-root");
}

class KubernetesStateTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<RootKeeper>> OpenKeeper() {
    return RootKeeper::Open(
        std::make_unique<SecretStateStore>(objects_, "mesh", kCaSecret, kCaFile), state_, {}, kNow);
  }
  std::string RootIn(const std::string& name_space) {
    const json object = server_.Get(RootPath(name_space));
    return object.is_null() ? "" : object["data"]["root.pem"].get<std::string>();
  }
  size_t Writes() const {
    return server_.Calls("POST", "").size() + server_.Calls("PATCH", "").size();
  }

  ApiForTest server_;
  const DataObjects objects_{server_.call()};
  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
};

TEST_F(KubernetesStateTest, ReplicasThatStartTogetherAgreeOnOneRoot) {
  std::vector<std::string> roots(6);
  std::vector<std::thread> threads;
  threads.reserve(roots.size());
  for (std::string& root : roots) {
    threads.emplace_back([&] {
      const auto keeper = OpenKeeper();
      root = keeper.ok() ? (*keeper)->authority().RootsPem().front() : keeper.status().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& root : roots) EXPECT_EQ(root, roots.front());
  EXPECT_THAT(roots.front(), HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_EQ(server_.Get(kCaPath)["type"], "Opaque");
}

TEST_F(KubernetesStateTest, AChangeByOneReplicaReachesTheOthersAndNoneIsLost) {
  const auto a = *OpenKeeper();
  const auto b = *OpenKeeper();
  const auto begin = [](RootDocument& document) {
    return BeginRotation(document, "cluster.local", kNow);
  };
  ASSERT_TRUE(a->Change(begin, kNow).ok());
  EXPECT_THAT(b->authority().RootsPem(), SizeIs(1));
  ASSERT_TRUE(b->Refresh(kNow).ok());
  EXPECT_EQ(b->authority().RootsPem(), a->authority().RootsPem());
  // A writer that has not seen the latest version does not overwrite it.
  bool raced = false;
  server_.Intercept([&](const kubernetes::Request& call) -> std::optional<ApiForTest::Answer> {
    if (call.method != "PATCH" || raced) return std::nullopt;
    raced = true;
    json secret = server_.Get(kCaPath);
    secret["metadata"]["labels"]["touched"] = "yes";
    server_.Set(kCaPath, secret);
    return std::nullopt;
  });
  const absl::Status changed = a->Change(
      [](RootDocument& document) {
        document.record.set_phase(RotationRecord::CONFIRMED);
        return absl::OkStatus();
      },
      kNow);
  EXPECT_TRUE(changed.ok()) << changed;
  EXPECT_EQ(server_.Get(kCaPath)["metadata"]["labels"]["touched"], "yes");
  EXPECT_EQ(a->document().record.phase(), RotationRecord::CONFIRMED);
}

TEST_F(KubernetesStateTest, ASecretThatCannotBeUsedIsNeverReplaced) {
  for (const json& data : std::vector<json>{{{"ca.pem", absl::Base64Escape("nonsense")}},
                                            {{"other", "eA=="}},
                                            json::object(),
                                            nullptr,
                                            {{"ca.pem", "%%%"}},
                                            {{"ca.pem", 7}}}) {
    json secret = {{"metadata", {{"name", "weft-ca"}, {"namespace", "mesh"}}}, {"data", data}};
    server_.Set(kCaPath, secret);
    const json before = server_.Get(kCaPath);
    const absl::Status status = OpenKeeper().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("Secret mesh/weft-ca")) << data;
    EXPECT_EQ(server_.Get(kCaPath), before);
  }
  EXPECT_EQ(Writes(), 0U);
}

TEST_F(KubernetesStateTest, WhatHasBeenReadGoesOnWhileTheServerIsAwayOrTheSecretIsGone) {
  const auto keeper = *OpenKeeper();
  const std::vector<std::string> roots = keeper->authority().RootsPem();
  server_.Intercept([](const auto&) { return absl::UnavailableError("away"); });
  EXPECT_EQ(keeper->Refresh(kNow).code(), absl::StatusCode::kUnavailable);
  server_.Intercept(nullptr);
  server_.Remove(kCaPath);
  EXPECT_THAT(std::string(keeper->Refresh(kNow).message()), HasSubstr("vanished"));
  EXPECT_EQ(keeper->authority().RootsPem(), roots);
  EXPECT_TRUE(server_.Get(kCaPath).is_null()) << "nobody makes another root while it runs";
  server_.Intercept([](const auto&) { return ApiForTest::Refusal(403, "Forbidden"); });
  EXPECT_EQ(OpenKeeper().status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(KubernetesStateTest, TheOperatorTokenIsMadeOnceAndKept) {
  const std::string token = *ReadOrCreateOperatorSecret(objects_, "mesh");
  EXPECT_THAT(token, HasSubstr("weft-operator-"));
  EXPECT_EQ(*ReadOrCreateOperatorSecret(objects_, "mesh"), token);
  server_.Set(kTokenPath,
              {{"metadata", {{"name", "weft-operator"}}}, {"data", {{"token", "eA=="}}}});
  const absl::Status status = ReadOrCreateOperatorSecret(objects_, "mesh").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Secret mesh/weft-operator"));
}

TEST_F(KubernetesStateTest, ReportsOfReplicasThatAreGoneAreDropped) {
  ConfigMapBoard board(objects_, "mesh");
  EXPECT_THAT(*board.Read(kNow), IsEmpty());
  const ReplicaReport a{.name = "a",
                        .generation = 3,
                        .sidecars = 5,
                        .acknowledged = 4,
                        .waiting = {"shop/tea"},
                        .leaf_lifetime = absl::Hours(1),
                        .reported = kNow};
  const ReplicaReport old{.name = "old", .reported = kNow - absl::Minutes(1)};
  const ReplicaReport silent{.name = "silent", .reported = kNow - absl::Minutes(1)};
  for (const ReplicaReport& report : {a, old, silent}) ASSERT_TRUE(board.Publish(report).ok());
  server_.Set("/api/v1/namespaces/mesh/pods/silent", {{"metadata", {{"name", "silent"}}}});
  const std::vector<ReplicaReport> read = *board.Read(kNow);
  ASSERT_THAT(read, SizeIs(2));
  EXPECT_EQ(read[0].name, "a");
  EXPECT_EQ(read[0].generation, 3U);
  EXPECT_EQ(read[0].sidecars, 5U);
  EXPECT_EQ(read[0].acknowledged, 4U);
  EXPECT_THAT(read[0].waiting, ElementsAre("shop/tea"));
  EXPECT_EQ(read[0].leaf_lifetime, absl::Hours(1));
  EXPECT_EQ(read[0].reported, kNow);
  EXPECT_EQ(read[1].name, "silent");
  EXPECT_FALSE(server_.Get(kReplicasPath)["data"].contains("old"));
}

TEST(ReportTest, WhatCannotBeReadIsAReportThatNobodyHasLeftLately) {
  for (const char* text : {"", "[]", "{\"generation\":-1,\"reported\":\"yesterday\"}"}) {
    const ReplicaReport report = ReportFromJson("a", text);
    EXPECT_EQ(report.name, "a");
    EXPECT_EQ(report.generation, 0U);
    EXPECT_EQ(report.reported, absl::InfinitePast());
  }
}

TEST_F(KubernetesStateTest, TheRootsArePublishedRepairedAndReplacedWhereTheyAreNeeded) {
  std::vector<std::string> namespaces = {"mesh", "shop"};
  RootPublisher publisher(objects_, [&] { return namespaces; }, {});
  absl::Time now = kNow;
  publisher.Round("old root", now);
  EXPECT_EQ(RootIn("mesh"), "old root");
  EXPECT_EQ(RootIn("shop"), "old root");
  EXPECT_EQ(publisher.Missing("old root"), "");
  const size_t writes = Writes();
  for (int i = 0; i < 100; ++i) publisher.Round("old root", now += absl::Seconds(1));
  EXPECT_EQ(Writes(), writes) << "nothing is written that is there";

  json edited = server_.Get(RootPath("shop"));
  edited["data"]["root.pem"] = "forged";
  edited["data"]["note"] = "kept";
  server_.Set(RootPath("shop"), edited);
  server_.Remove(RootPath("mesh"));
  publisher.Round("old root", now += absl::Seconds(31));
  EXPECT_EQ(RootIn("shop"), "old root");
  EXPECT_EQ(server_.Get(RootPath("shop"))["data"]["note"], "kept");
  EXPECT_EQ(RootIn("mesh"), "old root");

  namespaces.push_back("bank");
  publisher.Round("old root", now += absl::Seconds(1));
  EXPECT_EQ(RootIn("bank"), "old root");
  EXPECT_THAT(publisher.Missing("both roots"), HasSubstr("3 namespaces: bank, mesh, shop"));
  publisher.Round("both roots", now += absl::Seconds(1));
  for (const char* name_space : {"mesh", "shop", "bank"}) {
    EXPECT_EQ(RootIn(name_space), "both roots");
  }
}

TEST_F(KubernetesStateTest, ANamespaceThatRefusesIsLeftAloneForAWhileAndHoldsNobodyUp) {
  RootPublisher publisher(objects_, [] { return std::vector<std::string>{"closed", "shop"}; }, {});
  std::string words = "Forbidden";
  server_.Intercept([&](const kubernetes::Request& call) -> std::optional<ApiForTest::Answer> {
    if (absl::StrContains(call.path, "/closed/")) return ApiForTest::Refusal(403, words);
    return std::nullopt;
  });
  absl::Time now = kNow;
  for (int i = 0; i < 60; ++i) publisher.Round("root", now += absl::Seconds(1));
  EXPECT_EQ(RootIn("shop"), "root");
  EXPECT_LE(server_.Calls("PATCH", "/closed/").size(), 7U) << "1, 2, 4, ... seconds apart";
  EXPECT_THAT(publisher.Missing("root"), HasSubstr("1 namespace: closed"));
  words = "namespace closed is being terminated";
  publisher.Round("root", now += absl::Minutes(2));
  EXPECT_EQ(publisher.Missing("root"), "") << "whatever is on its way out needs no roots";
}

TEST_F(KubernetesStateTest, ASuppliedSecretIsNamedWithOrWithoutItsNamespace) {
  EXPECT_EQ((*SuppliedSecret::Create(objects_, "mesh", "issuer"))->Name(), "Secret mesh/issuer");
  EXPECT_EQ((*SuppliedSecret::Create(objects_, "mesh", "pki/issuer"))->Name(), "Secret pki/issuer");
  for (const char* bad : {"", "/x", "x/", "a/b/c"}) {
    EXPECT_FALSE(SuppliedSecret::Create(objects_, "mesh", bad).ok()) << bad;
  }
  const auto source = *SuppliedSecret::Create(objects_, "mesh", "issuer");
  EXPECT_EQ(source->Read().status().code(), absl::StatusCode::kNotFound);
  json secret = {{"metadata", {{"name", "issuer"}}},
                 {"type", "kubernetes.io/tls"},
                 {"data", {{"tls.crt", "YQ=="}, {"tls.key", "Yg=="}}}};
  server_.Set("/api/v1/namespaces/mesh/secrets/issuer", secret);
  EXPECT_THAT(std::string(source->Read().status().message()), HasSubstr("no ca.crt"));
  secret["data"]["ca.crt"] = "Yw==";
  server_.Set("/api/v1/namespaces/mesh/secrets/issuer", secret);
  const SuppliedPem pem = *source->Read();
  EXPECT_EQ(pem.chain + pem.key + pem.roots, "abc");
}

}  // namespace
}  // namespace weft::ca
