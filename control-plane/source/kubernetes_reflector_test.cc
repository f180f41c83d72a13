#include "control-plane/source/kubernetes_reflector.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "control-plane/source/recording_for_test.h"
#include "control-plane/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::source {
namespace {

using kubernetes::ApiServerForTest;
using kubernetes::WatchForTest;
using store::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Watch = std::shared_ptr<WatchForTest>;

constexpr char kPods[] = "/api/v1/pods";
constexpr char kSplitGroup[] = "/apis/split.smi-spec.io";
constexpr char kSplitVersion[] = "/apis/split.smi-spec.io/v1alpha3";
constexpr char kSplits[] = "/apis/split.smi-spec.io/v1alpha3/trafficsplits";

const KubernetesResource& ResourceOf(Kind kind) {
  return *std::ranges::find(KubernetesResources(), kind, &KubernetesResource::kind);
}

std::string Pod(std::string_view name, std::string_view version, std::string_view ip = "10.0.0.1") {
  return absl::StrCat(R"({"metadata":{"name":")", std::string(name),
                      R"(","namespace":"shop","resourceVersion":")", std::string(version),
                      R"("},"status":{"podIP":")", std::string(ip), "\"}}");
}

std::string Event(std::string_view type, const std::string& object) {
  return absl::StrCat(R"({"type":")", std::string(type), R"(","object":)", object, "}\n");
}

std::string InitialEventsEnd(std::string_view version) {
  return Event("BOOKMARK",
               absl::StrCat(R"({"metadata":{"resourceVersion":")", std::string(version),
                            R"(","annotations":{"k8s.io/initial-events-end":"true"}}})"));
}

std::string PodList(std::string_view version, const std::vector<std::string>& pods,
                    std::string_view token = "") {
  return absl::StrCat(
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":")",
      std::string(version), "\"",
      token.empty() ? "" : absl::StrCat(R"(,"continue":")", std::string(token), "\""),
      "},\"items\":[", absl::StrJoin(pods, ","), "]}");
}

// A reflector, the server it follows, and what it has made of it.
class KubernetesReflectorTest : public ::testing::Test {
 protected:
  void Follow(Kind kind, const kubernetes::Config& config) {
    client_ = *kubernetes::Client::Create(config);
    reflector_ = std::make_unique<KubernetesReflector>(
        *client_, ResourceOf(kind), timing_,
        [this](std::vector<store::Update> updates) {
          const std::lock_guard lock(mutex_);
          ++batches_;
          store_.Apply(std::move(updates));
        },
        metrics_);
  }
  void Follow(Kind kind) { Follow(kind, server_->config()); }

  // Follows pods from a streaming list with these on; the watch after it.
  Watch FollowPods(const std::vector<std::string>& pods, std::string_view version) {
    Follow(Kind::kPod);
    const Watch list = server_->AwaitWatch(kPods);
    for (const std::string& pod : pods) list->Send(Event("ADDED", pod));
    list->Send(InitialEventsEnd(version));
    return server_->AwaitWatch(kPods);
  }

  // "name=ip", sorted.
  std::vector<std::string> Pods() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> pods;
    store_.ForEach<k8s::Pod>("", [&pods](const k8s::Pod& pod) {
      pods.push_back(absl::StrCat(pod.metadata().name(), "=", pod.status().pod_ip()));
    });
    return pods;
  }
  std::vector<std::string> Splits() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> splits;
    store_.ForEach<k8s::TrafficSplit>("", [&splits](const k8s::TrafficSplit& split) {
      splits.push_back(split.metadata().name());
    });
    return splits;
  }
  int Batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  absl::Status Trouble() {
    absl::Time since;
    return reflector_->Trouble(since);
  }

  static bool Eventually(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  }

  KubernetesTiming timing_{.first_backoff = absl::Milliseconds(1),
                           .max_backoff = absl::Milliseconds(20),
                           .absent = absl::Milliseconds(5),
                           .forbidden = absl::Milliseconds(5)};
  std::unique_ptr<ApiServerForTest> server_ = std::make_unique<ApiServerForTest>();
  Metrics metrics_;
  std::mutex mutex_;
  store::Store store_;
  int batches_ = 0;
  std::unique_ptr<kubernetes::Client> client_;
  std::unique_ptr<KubernetesReflector> reflector_;
};

TEST_F(KubernetesReflectorTest, FollowsAPodsRecordedLife) {
  Follow(Kind::kPod);
  const Watch list = server_->AwaitWatch(kPods);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  EXPECT_FALSE(reflector_->Settled());
  for (const std::string& chunk : ReadWatch("watchlist-pods.jsonl").chunks) list->Send(chunk);
  const Watch watch = server_->AwaitWatch(kPods);
  EXPECT_TRUE(reflector_->Settled());
  EXPECT_EQ(Batches(), 1);
  const std::vector<std::string> before = Pods();
  EXPECT_THAT(before, Not(IsEmpty()));

  const RecordedWatch recorded = ReadWatch("watch-pods.jsonl");
  for (size_t i = 0; i < 4; ++i) watch->Send(recorded.chunks[i]);
  EXPECT_TRUE(Eventually([&] { return Pods().size() == before.size() + 1; }));
  EXPECT_TRUE(Eventually([&] {
    return std::ranges::any_of(
        Pods(), [](const std::string& pod) { return absl::StartsWith(pod, "cart-1=1"); });
  }));
  for (size_t i = 4; i < recorded.chunks.size(); ++i) watch->Send(recorded.chunks[i]);
  watch->End();
  // It goes on from the last bookmark.
  EXPECT_THAT(server_->AwaitWatch(kPods)->target(), HasSubstr("resourceVersion=305&"));
  EXPECT_EQ(Pods(), before);
}

TEST_F(KubernetesReflectorTest, EventsMayBeCutAnywhere) {
  Follow(Kind::kNamespace);
  const Watch list = server_->AwaitWatch("/api/v1/namespaces");
  std::string all = absl::StrJoin(ReadWatch("watchlist-namespaces.jsonl").chunks, "");
  for (size_t at = 0; at < all.size(); at += 97) list->Send(all.substr(at, 97));
  EXPECT_NE(server_->AwaitWatch("/api/v1/namespaces"), nullptr);
  const std::lock_guard lock(mutex_);
  EXPECT_NE(store_.Find<k8s::Namespace>("", "shop"), nullptr);
  EXPECT_NE(store_.Find<k8s::Namespace>("", "kube-public"), nullptr);
}

TEST_F(KubernetesReflectorTest, AWatchRunsOutAndGoesOnFromTheLastVersionOrBookmark) {
  Watch watch = FollowPods({Pod("a", "1")}, "5");
  EXPECT_THAT(watch->target(), HasSubstr("resourceVersion=5&"));
  EXPECT_THAT(watch->target(), HasSubstr("allowWatchBookmarks=true"));
  watch->Send(Event("MODIFIED", Pod("a", "7", "10.0.0.2")));
  watch->End();
  watch = server_->AwaitWatch(kPods);
  EXPECT_THAT(watch->target(), HasSubstr("resourceVersion=7&"));
  watch->Send(
      Event("BOOKMARK", R"({"metadata":{"resourceVersion":"9"},"spec":{"containers":null}})"));
  watch->Break();
  watch = server_->AwaitWatch(kPods);
  EXPECT_THAT(watch->target(), HasSubstr("resourceVersion=9&"));
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.2"));
  EXPECT_THAT(server_->Targets("sendInitialEvents"), SizeIs(1));
}

TEST_F(KubernetesReflectorTest, AServerThatRejectsStreamingListsIsListedInPages) {
  server_->RefuseWatch(kPods, ReadReply("422-sendinitialevents-without-match.json"));
  server_->SayOnce(kPods, {.body = PodList("8", {Pod("a", "1"), Pod("b", "2")}, "to/k=n")});
  server_->SayOnce(kPods, {.body = PodList("8", {Pod("c", "3")})});
  Follow(Kind::kPod);
  const Watch watch = server_->AwaitWatch(kPods);
  EXPECT_THAT(watch->target(), HasSubstr("resourceVersion=8&"));
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.1", "b=10.0.0.1", "c=10.0.0.1"));
  EXPECT_EQ(Batches(), 1);
  EXPECT_THAT(server_->Targets("limit=500"),
              ElementsAre("/api/v1/pods?limit=500", "/api/v1/pods?limit=500&continue=to%2Fk%3Dn"));
}

TEST_F(KubernetesReflectorTest, AServerThatIgnoresStreamingListsIsListedInPages) {
  timing_.initial_silence = absl::Milliseconds(50);
  server_->Say(kPods, {.body = PodList("8", {Pod("a", "1")})});
  Follow(Kind::kPod);
  const Watch ignored = server_->AwaitWatch(kPods);
  ignored->Send(Event("ADDED", Pod("a", "1")));
  ignored->Send(Event("ADDED", Pod("b", "1")));
  EXPECT_NE(server_->AwaitWatch(kPods), nullptr);
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.1"));
}

TEST_F(KubernetesReflectorTest, APartOfAListIsNeverApplied) {
  server_->RefuseWatch(kPods, {.code = 400, .body = "{}"});
  server_->SayOnce(kPods, {.body = PodList("8", {Pod("a", "1")}, "token")});
  server_->SayOnce(kPods, {.code = 410, .body = R"({"reason":"Expired","code":410})"});
  server_->SayOnce(kPods, {.body = PodList("9", {Pod("b", "1")}, "token")});
  server_->SayOnce(kPods, {.code = 500, .body = "{}"});
  server_->SayOnce(kPods, {.body = "{\"kind\":\"PodList\",\"items\":[{"});
  server_->SayOnce(kPods, {.body = PodList("11", {Pod("c", "1")})});
  Follow(Kind::kPod);
  EXPECT_THAT(server_->AwaitWatch(kPods)->target(), HasSubstr("resourceVersion=11&"));
  EXPECT_THAT(Pods(), ElementsAre("c=10.0.0.1"));
  EXPECT_EQ(Batches(), 1);
}

TEST_F(KubernetesReflectorTest, AStreamingListThatBreaksOffIsNotApplied) {
  Follow(Kind::kPod);
  Watch list = server_->AwaitWatch(kPods);
  list->Send(Event("ADDED", Pod("a", "1")));
  list->Break();
  list = server_->AwaitWatch(kPods);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  EXPECT_EQ(Batches(), 0);
  list->Send(Event("ADDED", Pod("b", "1")) + InitialEventsEnd("3"));
  EXPECT_NE(server_->AwaitWatch(kPods), nullptr);
  EXPECT_THAT(Pods(), ElementsAre("b=10.0.0.1"));
}

TEST_F(KubernetesReflectorTest, ExpiredHistoryIsListedAnewAndWhatWasDeletedMeanwhileGoes) {
  Watch watch = FollowPods({Pod("a", "1"), Pod("b", "2")}, "5");
  EXPECT_THAT(Pods(), SizeIs(2));
  watch->Send(ReadWatch("watch-410-pods.jsonl").chunks[0]);
  watch->End();
  const Watch list = server_->AwaitWatch(kPods);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  EXPECT_THAT(Pods(), SizeIs(2));
  list->Send(Event("ADDED", Pod("b", "2")));
  list->Send(Event("ADDED", Pod("c", "3", "10.0.0.3")));
  list->Send(InitialEventsEnd("20"));
  EXPECT_NE(server_->AwaitWatch(kPods), nullptr);
  EXPECT_THAT(Pods(), ElementsAre("b=10.0.0.1", "c=10.0.0.3"));
}

TEST_F(KubernetesReflectorTest, ABusyServerIsAskedAgainForTheSameWatch) {
  server_->RefuseWatch(kPods, {.code = 503, .body = "{}"});  // the streaming list
  Follow(Kind::kPod);
  const Watch list = server_->AwaitWatch(kPods);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  server_->RefuseWatch(kPods, {.code = 429, .body = "{}"});
  server_->RefuseWatch(kPods, {.code = 503, .body = "{}"});
  server_->RefuseWatch(kPods, ReadReply("401-bad-token.json"));
  list->Send(Event("ADDED", Pod("a", "1")) + InitialEventsEnd("5"));
  EXPECT_THAT(server_->AwaitWatch(kPods)->target(), HasSubstr("resourceVersion=5&"));
  EXPECT_THAT(server_->Targets("resourceVersion=5&"), SizeIs(4));
  EXPECT_THAT(server_->Targets("sendInitialEvents"), SizeIs(2));
  EXPECT_TRUE(Eventually([&] { return Trouble().ok(); }));
}

TEST_F(KubernetesReflectorTest, AServersWishToBeLeftAloneIsHeeded) {
  server_->RefuseWatch(kPods, {.code = 429, .body = "{}", .headers = {{"Retry-After", "100"}}});
  Follow(Kind::kPod);
  EXPECT_TRUE(Eventually([&] { return !Trouble().ok(); }));
  // Whoever waits can be stopped.
  reflector_.reset();
  EXPECT_THAT(server_->Targets(kPods), SizeIs(1));
}

TEST_F(KubernetesReflectorTest, AVersionFromTheFutureIsGivenUp) {
  // The data was reset: the server has never heard of version 5000.
  timing_.silence = absl::Milliseconds(100);
  FollowPods({Pod("a", "1"), Pod("b", "4999")}, "5000");
  // The plain watch hangs, without a word.
  Watch list = server_->AwaitWatch(kPods);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  list->Send(ReadWatch("watchlist-future-resourceversion.jsonl").chunks[0]);
  list->End();
  list = server_->AwaitWatch(kPods);
  list->Send(Event("ADDED", Pod("a", "1")) + InitialEventsEnd("20"));
  EXPECT_THAT(server_->AwaitWatch(kPods)->target(), HasSubstr("resourceVersion=20&"));
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.1"));
}

TEST_F(KubernetesReflectorTest, AServerThatRestartsLosesNothing) {
  Watch watch = FollowPods({Pod("a", "1"), Pod("b", "2")}, "5");
  const int port = server_->port();
  const kubernetes::Config config = server_->config();
  server_.reset();
  EXPECT_TRUE(Eventually([&] { return !Trouble().ok(); }));
  EXPECT_EQ(Trouble().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Pods(), SizeIs(2));
  server_ = std::make_unique<ApiServerForTest>(port);
  watch = server_->AwaitWatch(kPods);
  EXPECT_THAT(watch->target(), HasSubstr("resourceVersion=5&"));
  EXPECT_TRUE(Eventually([&] { return Trouble().ok(); }));
  watch->Send(Event("DELETED", Pod("a", "6")));
  EXPECT_TRUE(Eventually([&] { return Pods().size() == 1; }));
}

TEST_F(KubernetesReflectorTest, WithoutTheRightItSaysSoAndGoesOnWhenItHasIt) {
  server_->RefuseWatch(kPods, ReadReply("403-list-all-namespaces.json"));
  server_->SayOnce(kPods, ReadReply("403-list-all-namespaces.json"));
  timing_.forbidden = absl::Milliseconds(200);
  Follow(Kind::kPod);
  EXPECT_TRUE(Eventually([&] { return absl::IsPermissionDenied(Trouble()); }));
  EXPECT_THAT(Trouble().message(), HasSubstr("list pods: 403 Forbidden"));
  EXPECT_TRUE(reflector_->Settled());
  const Watch list = server_->AwaitWatch(kPods);
  list->Send(Event("ADDED", Pod("a", "1")) + InitialEventsEnd("5"));
  EXPECT_NE(server_->AwaitWatch(kPods), nullptr);
  EXPECT_TRUE(Eventually([&] { return Trouble().ok(); }));
  EXPECT_THAT(Pods(), SizeIs(1));
}

TEST_F(KubernetesReflectorTest, WhoMayOnlyListListsFromTimeToTime) {
  server_->SetHandler([](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
    if (!absl::StrContains(call.target, "watch=true")) return false;
    reply = {.code = 403, .body = R"({"reason":"Forbidden","message":"no watch","code":403})"};
    return true;
  });
  server_->SayOnce(kPods, {.body = PodList("8", {Pod("a", "1")})});
  server_->Say(kPods, {.body = PodList("9", {Pod("b", "1")})});
  Follow(Kind::kPod);
  EXPECT_TRUE(Eventually([&] { return Pods() == std::vector<std::string>{"b=10.0.0.1"}; }));
  EXPECT_TRUE(
      Eventually([&] { return Trouble().message() == "watch pods: 403 Forbidden: no watch"; }));
}

TEST_F(KubernetesReflectorTest, AnObjectThatCannotBeUsedKeepsWhatItSaidBefore) {
  const Watch watch =
      FollowPods({Pod("a", "1"), R"({"metadata":{"name":"bad","namespace":"shop",)"
                                 R"("resourceVersion":"2"},"spec":{"containers":"none"}})"},
                 "5");
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.1"));
  ASSERT_THAT(reflector_->ObjectFindings(), SizeIs(1));
  EXPECT_EQ(reflector_->ObjectFindings()[0].object(), "Pod shop/bad");
  EXPECT_EQ(reflector_->ObjectFindings()[0].field(), "spec.containers");

  watch->Send(Event("DELETED", Pod("bad", "6")));
  watch->Send(Event("MODIFIED", R"({"metadata":{"name":"a","namespace":"shop",)"
                                R"("resourceVersion":"6"},"status":{"podIP":7}})"));
  EXPECT_TRUE(Eventually([&] {
    const auto findings = reflector_->ObjectFindings();
    return findings.size() == 1 && findings[0].field() == "status.podIP";
  }));
  EXPECT_THAT(Pods(), ElementsAre("a=10.0.0.1"));
  watch->Send(Event("MODIFIED", Pod("a", "8", "10.0.0.8")));
  EXPECT_TRUE(Eventually([&] { return reflector_->ObjectFindings().empty(); }));
  EXPECT_TRUE(Eventually([&] { return Pods() == std::vector<std::string>{"a=10.0.0.8"}; }));
  EXPECT_THAT(metrics_.Text(), HasSubstr("source_rejected_total{kind=\"Pod\"} 2"));
}

TEST_F(KubernetesReflectorTest, AWatchThatMakesNoSenseIsListedAnew) {
  const Watch watch = FollowPods({Pod("a", "1")}, "5");
  watch->Send("<html>\n");
  const Watch list = server_->AwaitWatch(kPods);
  ASSERT_NE(list, nullptr);
  EXPECT_THAT(list->target(), HasSubstr("sendInitialEvents=true"));
  EXPECT_THAT(Pods(), SizeIs(1));
}

TEST_F(KubernetesReflectorTest, AKindThatIsNotInstalledIsNothingUntilItComes) {
  server_->Say(kSplitGroup, ReadReply("404-group-not-installed.json"));
  Follow(Kind::kTrafficSplit);
  EXPECT_TRUE(Eventually([&] { return reflector_->Settled(); }));
  EXPECT_TRUE(Trouble().ok());
  server_->RefuseWatch(kSplits, {.code = 429, .body = "{}"});  // storage is (re)initializing
  server_->Say(kSplitVersion, ReadReply("discovery-version.json"));
  server_->Say(kSplitGroup, ReadReply("discovery-group.json"));
  const Watch list = server_->AwaitWatch(kSplits);
  ASSERT_NE(list, nullptr);
  list->Send(Event("ADDED", R"({"apiVersion":"split.smi-spec.io/v1alpha3","kind":"TrafficSplit",)"
                            R"("metadata":{"name":"s","namespace":"shop","resourceVersion":"3"},)"
                            R"("spec":{"service":"tea","weigth":1}})") +
             InitialEventsEnd("5"));
  Watch watch = server_->AwaitWatch(kSplits);
  EXPECT_THAT(Splits(), ElementsAre("s"));
  ASSERT_THAT(reflector_->ObjectFindings(), SizeIs(1));
  EXPECT_EQ(reflector_->ObjectFindings()[0].reason(), "FieldUnknown");

  // It vanishes without events for its objects.
  server_->RefuseWatch(kSplits, {.code = 404});
  server_->RefuseWatch(kSplits, {.code = 404});
  server_->Say(kSplitGroup, {.code = 404});
  watch->End();
  EXPECT_TRUE(Eventually([&] { return Splits().empty(); }));
  EXPECT_THAT(reflector_->ObjectFindings(), IsEmpty());
}

TEST_F(KubernetesReflectorTest, ASingle404EmptiesNothing) {
  server_->Say(kSplitVersion, ReadReply("discovery-version.json"));
  server_->Say(kSplitGroup, ReadReply("discovery-group.json"));
  server_->RefuseWatch(kSplits, {.code = 400, .body = "{}"});
  server_->Say(kSplits, ReadReply("list-trafficsplits.json"));
  Follow(Kind::kTrafficSplit);
  const Watch watch = server_->AwaitWatch(kSplits);
  const std::vector<std::string> splits = Splits();
  ASSERT_THAT(splits, Not(IsEmpty()));
  const int batches = Batches();
  server_->RefuseWatch(kSplits, {.code = 404});
  server_->SayOnce(kSplits, {.code = 404});
  server_->SayOnce(kSplitGroup, {.code = 404});
  watch->End();
  EXPECT_NE(server_->AwaitWatch(kSplits), nullptr);
  EXPECT_EQ(Splits(), splits);
  EXPECT_EQ(Batches(), batches + 1);  // the list after it, which says the same
}

TEST_F(KubernetesReflectorTest, OfTheServedVersionsTheNewestIsRead) {
  server_->Say(kSplitGroup, {.body = R"({"kind":"APIGroup","versions":[{"version":"v1alpha1"},
      {"version":"v1alpha2"},{"version":"v1alpha4"},{"version":"v9"}]})"});
  // Of this version the group has other kinds only.
  server_->Say("/apis/split.smi-spec.io/v1alpha4",
               {.body = R"({"kind":"APIResourceList","resources":[{"name":"others"}]})"});
  server_->Say("/apis/split.smi-spec.io/v1alpha2",
               {.body = R"({"kind":"APIResourceList","resources":[{"name":"trafficsplits"}]})"});
  Follow(Kind::kTrafficSplit);
  EXPECT_NE(server_->AwaitWatch("/apis/split.smi-spec.io/v1alpha2/trafficsplits"), nullptr);
}

TEST_F(KubernetesReflectorTest, ABuiltInKindIsNeverBelievedToBeGone) {
  Watch watch = FollowPods({Pod("a", "1")}, "5");
  server_->RefuseWatch(kPods, {.code = 404});
  server_->RefuseWatch(kPods, {.code = 404});
  server_->RefuseWatch(kPods, {.code = 404});
  watch->End();
  EXPECT_NE(server_->AwaitWatch(kPods), nullptr);
  EXPECT_THAT(Pods(), SizeIs(1));
}

}  // namespace
}  // namespace weft::source
