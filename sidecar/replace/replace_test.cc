#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/socket.h"
#include "sidecar/replace/predecessor.h"
#include "sidecar/replace/successor.h"

namespace weft::replace {
namespace {

io::Nanos Soon() { return io::MonotonicNow() + 10 * io::kSecond; }

// Both sides live on the test's own reactor; every test has a name of its own.
class ReplaceTest : public testing::Test {
 public:
  ReplaceTest()
      : name_(std::string("weft-replace-test-") + std::to_string(getpid()) + "-" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {}

  // In the end somebody takes over, so that nothing waits any more.
  ~ReplaceTest() override {
    refusal_.clear();
    if (running_ != nullptr) Run(TakeOver());
  }

  // The one that runs: it listens on a port of loopback.
  void StartRunning() {
    listener_ = *io::Listener::Open(*io::Address::FromIp("127.0.0.1", 0), false);
    absl::StatusOr<std::unique_ptr<ChannelListener>> channel = ChannelListener::Open(name_);
    ASSERT_TRUE(channel.ok()) << channel.status();
    running_ = std::make_unique<Succession>(
        *std::move(channel), Succession::Hooks{.sockets =
                                                   [this] {
                                                     return std::vector<std::pair<Role, int>>{
                                                         {Role::kInbound, listener_->fd()}};
                                                   },
                                               .refusal = [this] { return refusal_; }});
    running_->Start();
  }

  void Run(io::Task<void> story) {
    const auto run = [](io::Task<void> one, io::Reactor& reactor) -> io::Task<void> {
      co_await std::move(one);
      reactor.Stop();
    };
    io::Spawn(run(std::move(story), reactor_));
    reactor_.Run();
  }

  // What the one that runs answers to a greeting.
  io::Task<std::string> AnswerTo(std::string greeting) {
    absl::StatusOr<std::unique_ptr<Channel>> channel = Channel::Connect(name_);
    if (!channel.ok()) co_return channel.status().ToString();
    (void)co_await (*channel)->Send(std::move(greeting), {}, Soon());
    const absl::StatusOr<Message> answer = co_await (*channel)->Receive(Soon());
    co_return answer.ok() ? answer->text : answer.status().ToString();
  }

  // Waits until the one that runs has noticed that a caller is gone.
  io::Task<void> AwaitFree() {
    while ((co_await AnswerTo("take-over 1 test")).starts_with(kRefused)) {
      co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
    }
  }

  io::Task<void> TakeOver() {
    const io::Nanos deadline = Soon();
    while (running_->successor() == nullptr && io::MonotonicNow() < deadline) {
      auto met = co_await Predecessor::Meet(name_);
      // Refused as long as it has not noticed that the one before is gone.
      if (met.ok() && (co_await (*met)->AnnounceReady()).ok())
        (void)co_await (*met)->AnnounceAccepting();
      co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
    }
    EXPECT_NE(running_->successor(), nullptr);
    for (int turn = 0; turn < 20; ++turn) co_await io::Sleep(io::MonotonicNow());
  }

  io::Reactor reactor_;
  const std::string name_;
  std::string refusal_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<Succession> running_;
};

TEST_F(ReplaceTest, WithoutAnyoneRunningThereIsNobodyToMeet) {
  Run([](std::string name) -> io::Task<void> {
    const auto met = co_await Predecessor::Meet(name);
    EXPECT_TRUE(absl::IsNotFound(met.status())) << met.status();
  }(name_));
}

TEST_F(ReplaceTest, ANameBelongsToOne) {
  StartRunning();
  EXPECT_TRUE(absl::IsAlreadyExists(ChannelListener::Open(name_).status()));
}

TEST_F(ReplaceTest, TheSocketAndIdleConnectionsGoOver) {
  StartRunning();
  Run([](ReplaceTest& test) -> io::Task<void> {
    // A client that waits in the listener's queue: it belongs to whoever accepts next.
    const io::Address address = test.listener_->local();
    auto client = co_await io::Connect(address, Soon());
    EXPECT_TRUE(client.ok());

    auto met = co_await Predecessor::Meet(test.name_);
    EXPECT_TRUE(met.ok()) << met.status();
    if (!met.ok()) co_return;
    Descriptor knock = (*met)->sockets().Take(Role::kSuccessor);
    EXPECT_GE(knock.get(), 0);
    Descriptor socket = (*met)->sockets().Take(Role::kInbound, address);
    EXPECT_GE(socket.get(), 0);
    EXPECT_EQ((*met)->sockets().first(), nullptr);
    EXPECT_EQ(test.running_->successor(), nullptr);
    EXPECT_TRUE((co_await (*met)->AnnounceReady()).ok());
    auto mine = io::Listener::Adopt(socket.Release());
    EXPECT_TRUE((co_await (*met)->AnnounceAccepting()).ok());
    while (test.running_->successor() == nullptr) co_await Wait(test.running_->arrived(), Soon());
    test.listener_->Close();

    std::unique_ptr<io::Socket> accepted = co_await (*mine)->Accept();
    EXPECT_NE(accepted, nullptr);
    // And back again, as an idle connection of the one that goes.
    test.running_->successor()->Give(Role::kInbound, Descriptor(accepted->Release()));
    auto moved = co_await (*met)->NextConnections();
    EXPECT_TRUE(moved.ok()) << moved.status();
    if (!moved.ok()) co_return;
    EXPECT_EQ(moved->role, Role::kInbound);
    EXPECT_EQ(moved->descriptors.size(), 1U);
    const char byte = 'x';
    EXPECT_EQ(send(moved->descriptors.front().get(), &byte, 1, 0), 1);
    uint8_t seen = 0;
    io::IoResult read = (*client)->Read({&seen, 1});
    while (read.would_block()) {
      co_await Wait((*client)->readable(), Soon());
      read = (*client)->Read({&seen, 1});
    }
    EXPECT_EQ(seen, 'x');

    // Who comes now meets the successor.
    auto listener = ChannelListener::Adopt(std::move(knock));
    EXPECT_TRUE(listener.ok());
    auto next = Channel::Connect(test.name_);
    EXPECT_TRUE(next.ok());
    EXPECT_NE(co_await (*listener)->Accept(), nullptr);
  }(*this));
}

TEST_F(ReplaceTest, OneThatIsNotUnderstoodIsRefused) {
  StartRunning();
  Run([](ReplaceTest& test) -> io::Task<void> {
    EXPECT_EQ(co_await test.AnswerTo("take-over 2 99.0"),
              "refused it hands over by protocol 1, not 2");
    EXPECT_EQ(co_await test.AnswerTo("GET / HTTP/1.1"), "refused that is no greeting");
    test.refusal_ = "it is ending";
    EXPECT_EQ(co_await test.AnswerTo("take-over 1 0.1"), "refused it is ending");
  }(*this));
}

TEST_F(ReplaceTest, OneThatVanishesBeforeItAcceptsChangesNothing) {
  StartRunning();
  Run([](ReplaceTest& test) -> io::Task<void> {
    for (int steps = 0; steps < 3; ++steps) {
      {
        auto met = co_await Predecessor::Meet(test.name_);
        EXPECT_TRUE(met.ok()) << met.status();
        if (!met.ok()) co_return;
        EXPECT_EQ(co_await test.AnswerTo("take-over 1 0.1"),
                  "refused another one is taking over at this moment");
        if (steps > 0) EXPECT_TRUE((co_await (*met)->AnnounceReady()).ok());
      }
      co_await test.AwaitFree();
      EXPECT_EQ(test.running_->successor(), nullptr);
      EXPECT_GE(test.listener_->fd(), 0);
    }
  }(*this));
}

}  // namespace
}  // namespace weft::replace
