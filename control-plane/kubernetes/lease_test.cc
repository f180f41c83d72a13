#include "control-plane/kubernetes/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <regex>

#include "control-plane/kubernetes/objects_for_test.h"

namespace weft::cluster {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kPath[] =
    "/apis/coordination.k8s.io/v1/namespaces/weft-system/leases/weft-control-plane";

LeaseOptions OptionsOf(const std::string& identity) { return {.identity = identity}; }

// Two candidates whose clock the test sets.
class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest()
      : client_(*kubernetes::Client::Create(server_.config())),
        a_(*client_, OptionsOf("a"), [this] { return absl::Seconds(now_.load()); }),
        b_(*client_, OptionsOf("b"), [this] { return absl::Seconds(now_.load()); }) {}

  void Pass(absl::Duration time) { now_ += absl::ToInt64Seconds(time); }

  json Spec() const { return server_.Get(kPath)["spec"]; }

  ObjectsForTest server_;
  std::unique_ptr<kubernetes::Client> client_;
  std::atomic<int64_t> now_ = 1000;  // seconds
  LeaseCandidate a_, b_;
};

TEST_F(LeaseTest, TheFirstCandidateCreatesTheLeaseAndLeads) {
  EXPECT_FALSE(a_.IsLeader());
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_EQ(a_.Holder(), "a");
  EXPECT_EQ(Spec()["holderIdentity"], "a");
  EXPECT_EQ(Spec()["leaseDurationSeconds"], 15);
  EXPECT_EQ(Spec()["leaseTransitions"], 0);
  EXPECT_EQ(Spec()["acquireTime"], Spec()["renewTime"]);
}

TEST_F(LeaseTest, TimesHaveSixDigitsOfFraction) {
  ASSERT_TRUE(a_.Attempt().ok());
  for (const char* field : {"acquireTime", "renewTime"}) {
    EXPECT_TRUE(std::regex_match(Spec()[field].get<std::string>(),
                                 std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")))
        << Spec();
  }
}

TEST_F(LeaseTest, OneOfTwoThatCreateAtOneTimeLeads) {
  std::atomic<bool> first = true;
  server_.Intercept([&](const ObjectsForTest::Call& call) -> std::optional<ObjectsForTest::Reply> {
    if (call.method != "GET" || !first.exchange(false)) return std::nullopt;
    // Between a's look and its creation b does all of it.
    EXPECT_TRUE(b_.Attempt().ok());
    return ObjectsForTest::Refusal(404, "NotFound");
  });
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_TRUE(b_.IsLeader());
  EXPECT_EQ(Spec()["holderIdentity"], "b");
}

TEST_F(LeaseTest, TheLeaderRenewsWithoutReadingAndKeepsWhatOthersHaveWritten) {
  ASSERT_TRUE(a_.Attempt().ok());
  const size_t reads = server_.Calls("GET", "leases").size();
  json before = server_.Get(kPath);
  Pass(absl::Seconds(2));
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_EQ(server_.Calls("GET", "leases").size(), reads);
  EXPECT_EQ(Spec()["acquireTime"], before["spec"]["acquireTime"]);
  EXPECT_NE(Spec()["renewTime"], before["spec"]["renewTime"]);

  // Somebody labels the Lease: 409, and then it is renewed all the same, with the label.
  json labelled = server_.Get(kPath);
  labelled["metadata"]["labels"] = {{"who", "somebody"}};
  server_.Set(kPath, labelled);
  Pass(absl::Seconds(2));
  ASSERT_TRUE(a_.Attempt().ok());
  Pass(absl::Seconds(9));
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_EQ(server_.Get(kPath)["metadata"]["labels"]["who"], "somebody");
}

TEST_F(LeaseTest, AnotherTakesOverOnlyWhenItHasSeenNoRenewalForTheWholeDuration) {
  ASSERT_TRUE(a_.Attempt().ok());
  ASSERT_TRUE(b_.Attempt().ok());  // sees it here for the first time
  for (int seconds = 2; seconds <= 14; seconds += 2) {
    Pass(absl::Seconds(2));
    ASSERT_TRUE(b_.Attempt().ok());
    EXPECT_FALSE(b_.IsLeader()) << seconds;
    EXPECT_EQ(a_.IsLeader(), seconds < 10) << seconds;  // it stops long before
  }
  Pass(absl::Seconds(2));
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_TRUE(b_.IsLeader());
  EXPECT_EQ(Spec()["holderIdentity"], "b");
  EXPECT_EQ(Spec()["leaseTransitions"], 1);

  // The old leader finds out, and waits in its turn.
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_EQ(a_.Holder(), "b");
}

TEST_F(LeaseTest, ARenewalThatIsSeenStartsTheWaitAgain) {
  ASSERT_TRUE(a_.Attempt().ok());
  ASSERT_TRUE(b_.Attempt().ok());
  json renewed = server_.Get(kPath);
  renewed["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z";  // whatever its clock says
  server_.Set(kPath, renewed);
  Pass(absl::Seconds(14));
  ASSERT_TRUE(b_.Attempt().ok());
  Pass(absl::Seconds(14));
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_FALSE(b_.IsLeader());
  Pass(absl::Seconds(1));
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_TRUE(b_.IsLeader());
}

TEST_F(LeaseTest, TheHoldersLongerDurationIsWaitedFor) {
  ASSERT_TRUE(a_.Attempt().ok());
  json lease = server_.Get(kPath);
  lease["spec"]["leaseDurationSeconds"] = 60;
  server_.Set(kPath, lease);
  ASSERT_TRUE(b_.Attempt().ok());
  Pass(absl::Seconds(59));
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_FALSE(b_.IsLeader());
  Pass(absl::Seconds(1));
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_TRUE(b_.IsLeader());
}

TEST_F(LeaseTest, ALeaderThatCannotRenewStopsByItsOwnClockAndLeadsAgainWhenItCan) {
  ASSERT_TRUE(a_.Attempt().ok());
  server_.Refuse(503, "ServiceUnavailable");
  Pass(absl::Seconds(9));
  EXPECT_TRUE(absl::IsUnavailable(a_.Attempt()));
  EXPECT_TRUE(a_.IsLeader());
  Pass(absl::Seconds(1));
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_TRUE(absl::IsUnavailable(a_.Attempt()));
  server_.Relent();
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_EQ(Spec()["leaseTransitions"], 0);
}

TEST_F(LeaseTest, ALeaderThatFindsAnothersNameStopsAtOnce) {
  ASSERT_TRUE(a_.Attempt().ok());
  json stolen = server_.Get(kPath);
  stolen["spec"]["holderIdentity"] = "b";
  server_.Set(kPath, stolen);
  Pass(absl::Seconds(2));
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_FALSE(a_.IsLeader());
}

TEST_F(LeaseTest, OneOfTwoThatTakeOverAtOneTimeLeads) {
  ASSERT_TRUE(a_.Attempt().ok());
  ASSERT_TRUE(b_.Attempt().ok());
  LeaseCandidate c(*client_, OptionsOf("c"), [this] { return absl::Seconds(now_.load()); });
  ASSERT_TRUE(c.Attempt().ok());
  Pass(absl::Seconds(17));
  std::atomic<bool> first = true;
  server_.Intercept([&](const ObjectsForTest::Call& call) -> std::optional<ObjectsForTest::Reply> {
    if (call.method == "PUT" && first.exchange(false)) {
      EXPECT_TRUE(c.Attempt().ok());  // just before b's arrives
    }
    return std::nullopt;
  });
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_FALSE(b_.IsLeader());
  EXPECT_TRUE(c.IsLeader());
}

TEST_F(LeaseTest, AReleasedLeaseIsTakenAtOnce) {
  ASSERT_TRUE(a_.Attempt().ok());
  ASSERT_TRUE(b_.Attempt().ok());
  ASSERT_TRUE(a_.Release().ok());
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_EQ(Spec()["holderIdentity"], "");
  EXPECT_EQ(Spec()["leaseDurationSeconds"], 1);
  ASSERT_TRUE(b_.Attempt().ok());
  EXPECT_TRUE(b_.IsLeader());
}

TEST_F(LeaseTest, WhoDoesNotLeadReleasesNothing) {
  ASSERT_TRUE(a_.Attempt().ok());
  ASSERT_TRUE(b_.Attempt().ok());
  ASSERT_TRUE(b_.Release().ok());
  EXPECT_EQ(Spec()["holderIdentity"], "a");
}

TEST_F(LeaseTest, ALeaseThatSomebodyDeletesIsMadeAgain) {
  ASSERT_TRUE(a_.Attempt().ok());
  server_.Remove(kPath);
  Pass(absl::Seconds(2));
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_EQ(Spec()["holderIdentity"], "a");
}

TEST_F(LeaseTest, ALeaseWithoutASpecIsTaken) {
  server_.Set(kPath, {{"metadata", {{"name", "weft-control-plane"}}}});
  ASSERT_TRUE(a_.Attempt().ok());
  EXPECT_TRUE(a_.IsLeader());
}

TEST_F(LeaseTest, MissingRightsAreAnErrorThatNamesVerbAndResource) {
  server_.Refuse(403, "Forbidden");
  const absl::Status status = a_.Attempt();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(
      std::string(status.message()),
      ::testing::HasSubstr("get leases.coordination.k8s.io weft-system/weft-control-plane"));
  EXPECT_FALSE(a_.IsLeader());
}

TEST_F(LeaseTest, AnAnswerThatIsNoLeaseMakesNobodyLeader) {
  for (const char* body : {"", "[]", "{}", R"({"metadata": 1})", "not json"}) {
    server_.Intercept([&](const ObjectsForTest::Call&) {
      return std::optional<ObjectsForTest::Reply>({.code = 200, .body = body});
    });
    EXPECT_FALSE(a_.Attempt().ok()) << body;
    EXPECT_FALSE(a_.IsLeader()) << body;
  }
}

}  // namespace
}  // namespace weft::cluster
