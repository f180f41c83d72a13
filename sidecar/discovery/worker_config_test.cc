#include "sidecar/discovery/worker_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/discovery/testing/reactor_run.h"

namespace weft::discovery {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Writes down who asks for what.
class RecordingBroker final : public Broker {
 public:
  void Subscribe(Subscriber*, OnDemand type, std::string name) override {
    calls.push_back(absl::StrCat(type == OnDemand::kDestination ? "+d " : "+e ", name));
  }
  void Unsubscribe(Subscriber*, OnDemand type, std::string name) override {
    calls.push_back(absl::StrCat(type == OnDemand::kDestination ? "-d " : "-e ", name));
  }
  std::vector<std::string> calls;
};

class Listener final : public EndpointsListener {
 public:
  explicit Listener(int* alive) : alive_(alive) { ++*alive_; }
  ~Listener() override { --*alive_; }
  void OnEndpoints(const std::shared_ptr<const weft::v1::Endpoints>& endpoints) override {
    sizes.push_back(endpoints == nullptr ? -1 : endpoints->endpoints_size());
  }
  std::vector<int> sizes;

 private:
  int* const alive_;
};

io::Address At(const std::string& text) { return *io::Address::Parse(text); }

std::shared_ptr<const route::Destination> To(const std::vector<std::string>& endpoints) {
  weft::v1::Destination destination;
  destination.set_service("shop/tea");
  auto* rule = destination.add_rules();
  for (const std::string& name : endpoints) {
    auto* backend = rule->add_backends();
    backend->set_service(name.substr(0, name.find(':')));
    backend->set_endpoints(name);
    backend->set_weight(1);
  }
  return *route::Destination::Compile("10.0.0.1:80", destination);
}

std::shared_ptr<const weft::v1::Endpoints> Endpoints(int count) {
  auto endpoints = std::make_shared<weft::v1::Endpoints>();
  for (int i = 0; i < count; ++i) endpoints->add_endpoints()->set_port(80);
  return endpoints;
}

class WorkerConfigTest : public ::testing::Test {
 protected:
  void Make(WorkerConfig::Options options = {}) {
    config_ = std::make_unique<WorkerConfig>(
        &reactor_, &broker_, options,
        [this](const std::string&) { return std::make_unique<Listener>(&listeners_); });
  }

  io::Reactor reactor_;
  RecordingBroker broker_;
  int listeners_ = 0;
  std::unique_ptr<WorkerConfig> config_;
};

TEST_F(WorkerConfigTest, AsksOnceAndWakesAllWhoWait) {
  Make();
  int woken = 0;
  const auto wait = [](WorkerConfig* config, int* count) -> io::Task<void> {
    const DestinationRef entry = config->Lookup(At("10.0.0.1:80"));
    if (co_await config->Resolved(entry, io::kNever) == Answer::kPresent &&
        entry->destination()->service() == "shop/tea") {
      ++*count;
    }
  };
  for (int i = 0; i < 3; ++i) io::Spawn(wait(config_.get(), &woken));
  EXPECT_THAT(broker_.calls, ElementsAre("+d 10.0.0.1:80"));
  config_->OnDestination("10.0.0.1:80", Answer::kPresent, To({"shop/tea:80"}));
  EXPECT_TRUE(RunUntil(reactor_, [&] { return woken == 3; }));
}

TEST_F(WorkerConfigTest, StopsWaitingAtTheDeadline) {
  Make();
  Answer answer = Answer::kPresent;
  RunTask(reactor_, [](WorkerConfig* config, Answer* out) -> io::Task<void> {
    *out = co_await config->Resolved(config->Lookup(At("10.0.0.1:80")),
                                     io::MonotonicNow() + io::kMillisecond);
  }(config_.get(), &answer));
  EXPECT_EQ(answer, Answer::kAsked);
  // Nobody is left to be woken.
  config_->OnDestination("10.0.0.1:80", Answer::kAbsent, nullptr);
  EXPECT_EQ(config_->Lookup(At("10.0.0.1:80"))->answer(), Answer::kAbsent);
}

TEST_F(WorkerConfigTest, FollowsADestinationToItsEndpointsByPosition) {
  Make();
  const DestinationRef entry = config_->Lookup(At("10.0.0.1:80"));
  config_->OnDestination("10.0.0.1:80", Answer::kPresent, To({"shop/tea-1:80", "shop/tea-2:80"}));
  EXPECT_THAT(broker_.calls, ElementsAre("+d 10.0.0.1:80", "+e shop/tea-1:80", "+e shop/tea-2:80"));
  EndpointsEntry* const second = entry->endpoints(1);
  EXPECT_EQ(second->name(), "shop/tea-2:80");
  config_->OnEndpoints("shop/tea-2:80", Answer::kPresent, Endpoints(2));
  config_->OnEndpoints("shop/tea-2:80", Answer::kPresent, Endpoints(3));
  config_->OnEndpoints("shop/tea-2:80", Answer::kAbsent, nullptr);
  EXPECT_THAT(static_cast<Listener*>(second->listener())->sizes, ElementsAre(2, 3, -1));

  // The backend that both versions have keeps its entry, and so its connections.
  config_->OnDestination("10.0.0.1:80", Answer::kPresent, To({"shop/tea-2:80", "shop/tea-3:80"}));
  EXPECT_EQ(entry->endpoints(0), second);
  EXPECT_EQ(listeners_, 3);
}

TEST_F(WorkerConfigTest, DropsWhatIsIdleAndNotHeld) {
  Make({.idle_limit = 200 * io::kMillisecond});
  DestinationRef held = config_->Lookup(At("10.0.0.1:80"));
  config_->Lookup(At("10.0.0.2:80"));
  config_->OnDestination("10.0.0.1:80", Answer::kPresent, To({"shop/tea:80"}));
  ASSERT_TRUE(RunUntil(reactor_, [&] { return config_->destinations() == 1; }));
  EXPECT_THAT(broker_.calls, Contains("-d 10.0.0.2:80"));
  EXPECT_EQ(config_->endpoints(), 1u);
  EXPECT_EQ(listeners_, 1);
  held = DestinationRef();
  ASSERT_TRUE(RunUntil(reactor_, [&] { return config_->endpoints() == 0; }));
  EXPECT_EQ(config_->destinations(), 0u);
  EXPECT_EQ(listeners_, 0);
  EXPECT_THAT(broker_.calls, Contains("-e shop/tea:80"));
  // With nothing held, nothing wakes the reactor.
  EXPECT_TRUE(RunUntil(reactor_, [&] { return reactor_.timers().size() <= 1; }));
}

TEST_F(WorkerConfigTest, AtTheLimitDropsTheLeastRecentlyUsedThatNobodyHolds) {
  Make({.max_destinations = 3});
  const DestinationRef one = config_->Lookup(At("10.0.0.1:80"));
  config_->Lookup(At("10.0.0.2:80"));
  config_->Lookup(At("10.0.0.3:80"));
  config_->Lookup(At("10.0.0.2:80"));
  EXPECT_TRUE(config_->Lookup(At("10.0.0.4:80")));
  EXPECT_THAT(broker_.calls, Contains("-d 10.0.0.3:80"));
  EXPECT_THAT(broker_.calls, Not(Contains("-d 10.0.0.1:80")));
  EXPECT_EQ(config_->destinations(), 3u);
}

TEST_F(WorkerConfigTest, GivesNoEntryIfAllAreHeldAtTheLimit) {
  Make({.max_destinations = 1});
  const DestinationRef one = config_->Lookup(At("10.0.0.1:80"));
  EXPECT_FALSE(config_->Lookup(At("10.0.0.2:80")));
  EXPECT_EQ(config_->refused_lookups(), 1u);
  EXPECT_TRUE(config_->Lookup(At("10.0.0.1:80")));
}

TEST_F(WorkerConfigTest, IgnoresNewsOfWhatItHasDropped) {
  Make();
  config_->OnDestination("10.0.0.1:80", Answer::kPresent, To({"shop/tea:80"}));
  config_->OnDestination("no address", Answer::kPresent, To({"shop/tea:80"}));
  config_->OnEndpoints("shop/tea:80", Answer::kPresent, Endpoints(1));
  EXPECT_EQ(config_->destinations(), 0u);
  EXPECT_EQ(config_->endpoints(), 0u);
  EXPECT_THAT(broker_.calls, IsEmpty());
}

TEST_F(WorkerConfigTest, TellsOfTheWorkloadAndTheSettings) {
  Make();
  int changes = 0;
  config_->OnChange([&] { ++changes; });
  config_->OnWorkload(std::make_shared<weft::v1::Workload>());
  config_->OnSettings(std::make_shared<weft::v1::MeshSettings>());
  EXPECT_EQ(changes, 2);
  EXPECT_NE(config_->workload(), nullptr);
  EXPECT_NE(config_->settings(), nullptr);
}

}  // namespace
}  // namespace weft::discovery
