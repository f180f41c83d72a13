#include "control-plane/kubernetes/leader_election.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "control-plane/kubernetes/objects_for_test.h"

namespace weft::cluster {
namespace {

constexpr char kPath[] =
    "/apis/coordination.k8s.io/v1/namespaces/weft-system/leases/weft-control-plane";

class LeaderElectionTest : public ::testing::Test {
 protected:
  LeaderElectionTest() : client_(*kubernetes::Client::Create(server_.config())) {}

  std::unique_ptr<LeaderElection> Start(const std::string& identity, absl::Duration duration,
                                        LeaderElection::Listener listener = nullptr) {
    return std::make_unique<LeaderElection>(
        *client_, LeaseOptions{.identity = identity, .duration = duration}, std::move(listener));
  }

  ObjectsForTest server_;
  std::unique_ptr<kubernetes::Client> client_;
};

TEST_F(LeaderElectionTest, AReplicaThatEndsHandsOverLongBeforeTheLeaseExpires) {
  std::atomic<int> turns = 0;
  std::unique_ptr<LeaderElection> a =
      Start("a", absl::Seconds(15), [&](bool leads) { turns += leads ? 1 : 10; });
  ASSERT_TRUE(Await([&] { return a->IsLeader(); }));
  std::unique_ptr<LeaderElection> b = Start("b", absl::Seconds(15));
  ASSERT_TRUE(Await([&] { return b->Holder() == "a"; }));
  EXPECT_FALSE(b->IsLeader());
  a.reset();
  EXPECT_EQ(turns, 11);  // it became the leader, and stopped to be it
  EXPECT_EQ(server_.Get(kPath)["spec"]["holderIdentity"], "");
  EXPECT_TRUE(Await([&] { return b->IsLeader(); }));
}

TEST_F(LeaderElectionTest, AmongManyThatRaceThereIsNeverMoreThanOneLeader) {
  std::vector<std::unique_ptr<LeaderElection>> replicas;
  for (const char* identity : {"a", "b", "c", "d", "e"}) {
    replicas.push_back(Start(identity, absl::Seconds(1)));
  }
  const auto leaders = [&] {
    return std::ranges::count_if(replicas, [](const auto& replica) { return replica->IsLeader(); });
  };
  ASSERT_TRUE(Await([&] { return leaders() == 1; }));
  while (replicas.size() > 1) {
    std::erase_if(replicas, [](const auto& replica) { return replica->IsLeader(); });
    ASSERT_TRUE(Await([&] {
      const auto count = leaders();
      EXPECT_LE(count, 1);
      return count == 1;
    }));
  }
}

TEST_F(LeaderElectionTest, AReplicaThatLosesTheServerTellsItsListener) {
  std::atomic<bool> leads = false;
  std::unique_ptr<LeaderElection> a = Start("a", absl::Seconds(1), [&](bool now) { leads = now; });
  ASSERT_TRUE(Await([&] { return leads.load(); }));
  server_.Refuse(500, "InternalError");
  EXPECT_TRUE(Await([&] { return !leads; }));
  EXPECT_FALSE(a->IsLeader());
  server_.Relent();
  EXPECT_TRUE(Await([&] { return leads.load(); }));
}

}  // namespace
}  // namespace weft::cluster
