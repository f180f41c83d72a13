#include "control-plane/kubernetes/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "control-plane/kubernetes/objects_for_test.h"

namespace weft::cluster {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::Finding;

constexpr char kSplit[] = "/apis/split.smi-spec.io/v1alpha4/namespaces/shop/trafficsplits/tea";
constexpr char kEvents[] = "/api/v1/namespaces/shop/events/";
constexpr char kMergePatch[] = "application/merge-patch+json";

constexpr ReporterTiming kImpatient = {.look = absl::Milliseconds(1),
                                       .quiet = absl::Milliseconds(1),
                                       .longest = absl::Milliseconds(5),
                                       .pace = absl::ZeroDuration(),
                                       .first_backoff = absl::Milliseconds(1),
                                       .max_backoff = absl::Milliseconds(5)};

Finding MakeFinding(const std::string& reason, const std::string& message) {
  Finding finding;
  finding.set_severity(Finding::ERROR);
  finding.set_field("spec.backends[1].service");
  finding.set_reason(reason);
  finding.set_message(message);
  finding.set_remedy("create it");
  return finding;
}

// A split "tea" on an API server, and what the mesh finds about it.
class ReporterTest : public ::testing::Test {
 protected:
  ReporterTest() : client_(*kubernetes::Client::Create(server_.config())) {
    Serve({"trafficsplits", "trafficsplits/status"});
    server_.Set(kSplit, {{"metadata", {{"name", "tea"}, {"uid", "u1"}, {"generation", 1}}}});
    review_ = {.key = {store::Kind::kTrafficSplit, "shop", "tea"},
               .uid = "u1",
               .generation = 1,
               .findings = {}};
  }
  ~ReporterTest() override { reporter_.reset(); }

  // What discovery says of the group's version.
  void Serve(const std::vector<std::string>& resources) {
    json list = {{"kind", "APIResourceList"}, {"resources", json::array()}};
    for (const std::string& name : resources) list["resources"].push_back({{"name", name}});
    server_.Set("/apis/split.smi-spec.io/v1alpha4", list);
  }

  void Start() {
    reporter_ = std::make_unique<Reporter>(
        *client_, "replica-1",
        ReporterSources{.leads =
                            [this] {
                              ++asked_;
                              return leads_.load();
                            },
                        .revision = [this] { return revision_.load(); },
                        .reviews =
                            [this] {
                              const std::lock_guard lock(mutex_);
                              ++reviews_;
                              return std::vector<compile::Review>{review_};
                            }},
        metrics_, kImpatient);
  }

  void Find(std::vector<Finding> findings, int64_t generation = 1) {
    {
      const std::lock_guard lock(mutex_);
      review_.findings = std::move(findings);
      review_.generation = generation;
    }
    ++revision_;
  }

  // Waits until everything that has changed so far has been looked at, and nothing is being done.
  void Settle() {
    for (int i = 0; i < 2; ++i) {
      const int before = reviews_;
      ++revision_;
      ASSERT_TRUE(Await([&] { return reviews_ > before; }));
    }
  }

  json Condition(const std::string& type) const {
    const json object = server_.Get(kSplit);
    const json conditions = object.value("/status/conditions"_json_pointer, json::array());
    for (const json& condition : conditions) {
      if (condition["type"] == json(type)) return condition;
    }
    return json({{"status", "none"}});
  }
  bool AwaitCondition(const std::string& type, const std::string& reason) const {
    return Await([&] { return Condition(type).value("reason", "") == reason; });
  }
  std::vector<json> Events() const { return server_.GetAll(kEvents); }
  size_t Patches() const { return server_.Calls("PATCH", "/status").size(); }

  ObjectsForTest server_;
  std::unique_ptr<kubernetes::Client> client_;
  Metrics metrics_;
  std::atomic<bool> leads_ = true;
  std::atomic<uint64_t> revision_ = 1;
  std::atomic<int> reviews_ = 0;
  std::atomic<int> asked_ = 0;  // whether this replica leads
  std::mutex mutex_;
  compile::Review review_;
  std::unique_ptr<Reporter> reporter_;
};

TEST_F(ReporterTest, TheStatusIsWrittenOnceAndNotAgain) {
  Start();
  ASSERT_TRUE(AwaitCondition("Accepted", "Accepted"));
  EXPECT_EQ(Condition("ResolvedRefs")["status"], "True");
  Settle();
  EXPECT_EQ(Patches(), 1u);
  const ObjectsForTest::Call patch = server_.Calls("PATCH", "/status").at(0);
  EXPECT_EQ(patch.headers.find("Content-Type")->second, kMergePatch);
  EXPECT_THAT(patch.target, HasSubstr("fieldManager=weft-control-plane"));
  EXPECT_THAT(Events(), SizeIs(0));
}

TEST_F(ReporterTest, AMistakeAppearsInStatusAndEventsAndGoesWhenItIsMended) {
  Start();
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "ResolvedRefs"));
  Find({MakeFinding("BackendNotFound", "there is no service \"tea.2\"")}, 2);
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
  EXPECT_EQ(Condition("ResolvedRefs")["status"], "False");
  EXPECT_EQ(Condition("ResolvedRefs")["observedGeneration"], 2);
  EXPECT_THAT(Condition("ResolvedRefs")["message"].get<std::string>(),
              HasSubstr("spec.backends[1].service: there is no service"));
  ASSERT_TRUE(Await([&] { return Events().size() == 1; }));
  const json event = Events()[0];
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["reason"], "BackendNotFound");
  EXPECT_EQ(event["count"], 1);
  EXPECT_EQ(event["involvedObject"], json({{"apiVersion", "split.smi-spec.io/v1alpha4"},
                                           {"kind", "TrafficSplit"},
                                           {"namespace", "shop"},
                                           {"name", "tea"},
                                           {"uid", "u1"}}));
  EXPECT_EQ(event["source"]["component"], "weft-control-plane");
  EXPECT_EQ(event["reportingInstance"], "replica-1");
  EXPECT_THAT(event["message"].get<std::string>(), HasSubstr("create it"));

  Find({}, 2);
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "ResolvedRefs"));
  ASSERT_TRUE(Await([&] { return Events().size() == 2; }));
  for (const json& each : Events()) {
    if (each["type"] == "Normal") EXPECT_EQ(each["reason"], "Resolved");
  }
  Settle();
  EXPECT_EQ(Patches(), 3u);
}

TEST_F(ReporterTest, AMistakeThatComesAgainCounts) {
  Start();
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "ResolvedRefs"));
  for (int i = 0; i < 2; ++i) {
    Find({MakeFinding("BackendNotFound", "gone")});
    ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
    Find({});
    ASSERT_TRUE(AwaitCondition("ResolvedRefs", "ResolvedRefs"));
  }
  ASSERT_TRUE(Await([&] {
    const std::vector<json> events = Events();
    return events.size() == 2 && events[0]["count"] == 2 && events[1]["count"] == 2;
  }));
}

TEST_F(ReporterTest, AMistakeThatComesAndGoesWithoutEndIsNotToldWithoutEnd) {
  Start();
  for (int i = 0; i < 40; ++i) {
    Find({MakeFinding("BackendNotFound", "gone")});
    ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
    Find({});
    ASSERT_TRUE(AwaitCondition("ResolvedRefs", "ResolvedRefs"));
  }
  Settle();
  EXPECT_LE(server_.Calls("POST", "/events").size(), 12u);
  EXPECT_GE(metrics_.Events("dropped").Value(), 60);
}

TEST_F(ReporterTest, ANewLeaderRepeatsNothingThatIsKnown) {
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
  ASSERT_TRUE(Await([&] { return Events().size() == 1; }));
  reporter_.reset();
  Start();
  Settle();
  ASSERT_TRUE(server_.AwaitCalls("POST", "/events", 2));
  Settle();
  EXPECT_EQ(Events().at(0)["count"], 1);
  EXPECT_EQ(Patches(), 1u);
}

TEST_F(ReporterTest, WhoDoesNotLeadWritesNothing) {
  leads_ = false;
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(Await([&] { return asked_ >= 10; }));
  EXPECT_EQ(reviews_, 0);
  EXPECT_THAT(server_.Calls("", ""), SizeIs(0));
  leads_ = true;
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
}

TEST_F(ReporterTest, AConflictIsTriedAgainOnTheObjectAsItIsNow) {
  std::atomic<int> refused = 0;
  server_.Intercept([&](const ObjectsForTest::Call& call) -> std::optional<ObjectsForTest::Reply> {
    if (call.method != "PATCH" || ++refused > 3) return std::nullopt;
    return ObjectsForTest::Refusal(409, "Conflict");
  });
  Start();
  ASSERT_TRUE(AwaitCondition("Accepted", "Accepted"));
  EXPECT_EQ(refused, 4);
}

TEST_F(ReporterTest, AServerThatIsAwayIsTriedAgain) {
  server_.Refuse(503, "ServiceUnavailable");
  Start();
  ASSERT_TRUE(Await([&] { return metrics_.StatusWrites("failed").Value() >= 3; }));
  server_.Relent();
  ASSERT_TRUE(AwaitCondition("Accepted", "Accepted"));
}

TEST_F(ReporterTest, WithoutTheRightToWriteStatusEventsAreWrittenAllTheSame) {
  server_.Intercept([&](const ObjectsForTest::Call& call) -> std::optional<ObjectsForTest::Reply> {
    if (call.method != "PATCH") return std::nullopt;
    return ObjectsForTest::Refusal(403, "Forbidden");
  });
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(Await([&] { return Events().size() == 1; }));
  server_.Relent();
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
}

TEST_F(ReporterTest, AKindWithoutAStatusSubresourceGetsEventsOnly) {
  Serve({"trafficsplits"});
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(Await([&] { return Events().size() == 1; }));
  Settle();
  EXPECT_EQ(Patches(), 0u);
  EXPECT_EQ(server_.Calls("GET", kSplit).size(), 0u);
  EXPECT_EQ(server_.Calls("GET", "/apis/split.smi-spec.io/v1alpha4").size(), 1u);
}

TEST_F(ReporterTest, AnOldDefinitionIsFoundInTheVersionThatIsServed) {
  server_.Remove("/apis/split.smi-spec.io/v1alpha4");
  const std::string path = "/apis/split.smi-spec.io/v1alpha2/namespaces/shop/trafficsplits/tea";
  server_.Set("/apis/split.smi-spec.io/v1alpha2",
              {{"resources", {{{"name", "trafficsplits"}}, {{"name", "trafficsplits/status"}}}}});
  server_.Set(path, server_.Get(kSplit));
  Start();
  EXPECT_TRUE(
      Await([&] { return server_.Get(path).contains("/status/conditions/0"_json_pointer); }));
}

TEST_F(ReporterTest, AnObjectThatHasChangedSinceWaitsForItsReview) {
  server_.Set(kSplit, {{"metadata", {{"name", "tea"}, {"uid", "u1"}, {"generation", 2}}}});
  Start();
  ASSERT_TRUE(server_.AwaitCalls("GET", kSplit, 1));
  Settle();
  EXPECT_EQ(Patches(), 0u);
  Find({}, 2);
  ASSERT_TRUE(AwaitCondition("Accepted", "Accepted"));
}

TEST_F(ReporterTest, ANewObjectOfAnOldNameIsToldEverything) {
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(Await([&] { return Events().size() == 1; }));
  server_.Set(kSplit, {{"metadata", {{"name", "tea"}, {"uid", "u2"}, {"generation", 1}}}});
  {
    const std::lock_guard lock(mutex_);
    review_.uid = "u2";
  }
  ++revision_;
  ASSERT_TRUE(Await([&] { return Events().size() == 2; }));
  ASSERT_TRUE(AwaitCondition("ResolvedRefs", "BackendNotFound"));
}

TEST_F(ReporterTest, ANamespaceThatGoesTakesNoEvents) {
  server_.Intercept([&](const ObjectsForTest::Call& call) -> std::optional<ObjectsForTest::Reply> {
    if (call.method != "POST") return std::nullopt;
    ObjectsForTest::Reply reply = ObjectsForTest::Refusal(403, "Forbidden");
    json status = json::parse(reply.body);
    status["details"]["causes"] = {{{"reason", "NamespaceTerminating"}}};
    reply.body = status.dump();
    return reply;
  });
  Find({MakeFinding("BackendNotFound", "gone")});
  Start();
  ASSERT_TRUE(server_.AwaitCalls("POST", "/events", 1));
  Settle();
  EXPECT_EQ(server_.Calls("POST", "/events").size(), 1u);
}

}  // namespace
}  // namespace weft::cluster
