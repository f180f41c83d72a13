#include "sidecar/io/reactor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/event.h"
#include "sidecar/io/join.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::io {
namespace {

// Runs a story to its end.
void RunStory(Reactor& reactor, Task<void> story) {
  bool ended = false;
  const auto run = [](Task<void> task, bool* end) -> Task<void> {
    co_await std::move(task);
    *end = true;
    Reactor::Current()->Stop();
  };
  Spawn(run(std::move(story), &ended));
  if (!ended) reactor.Run();
  EXPECT_TRUE(ended);
}

TEST(ReactorTest, AWaitEndsWithTheEventThatCameOrAtItsDeadline) {
  Reactor reactor;
  Event a;
  Event b;
  const auto story = [&]() -> Task<void> {
    b.Notify();
    EXPECT_EQ(co_await Wait(a, b), &b);  // remembered
    reactor.Post([&] { a.Notify(); });
    EXPECT_EQ(co_await Wait(a, b), &a);
    EXPECT_EQ(co_await Wait(a, MonotonicNow() + kMillisecond), nullptr);
    a.Notify();
    EXPECT_EQ(co_await Wait(a, b, kNever), &a);
  };
  RunStory(reactor, story());
}

TEST(ReactorTest, PostedWorkComesFromOtherThreadsInOrder) {
  Reactor reactor;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) reactor.Post([&seen, i] { seen.push_back(i); });
    reactor.Post([&] { reactor.Stop(); });
  });
  reactor.Run();
  other.join();
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[i], i);
}

class CountingWork : public EndOfTurn {
 public:
  int count = 0;

 private:
  void OnEndOfTurn() override { ++count; }
};

TEST(ReactorTest, EndOfTurnWorkRunsOncePerTurnAlsoBesideACoroutineThatNeverRests) {
  Reactor reactor;
  CountingWork work;
  const auto story = [&]() -> Task<void> {
    Event wake;
    for (int i = 0; i < 5; ++i) {
      reactor.AtEndOfTurn(&work);
      reactor.AtEndOfTurn(&work);
    }
    // Ready again and again: the work must not wait for ever.
    for (int i = 0; i < 100 && work.count == 0; ++i) {
      wake.Notify();
      const auto later = [](Event* event) -> Task<void> {
        event->Notify();
        co_return;
      };
      co_await Wait(wake);
      reactor.Post([&wake] { wake.Notify(); });
      Spawn(later(&wake));
      co_await Wait(wake);
    }
    Event posted;
    reactor.Post([&posted] { posted.Notify(); });
    co_await Wait(posted);
    EXPECT_EQ(work.count, 1);
  };
  RunStory(reactor, story());
}

TEST(ReactorTest, WorkThatIsDestroyedBeforeTheTurnEndsIsForgotten) {
  Reactor reactor;
  CountingWork first;
  CountingWork last;
  const auto story = [&]() -> Task<void> {
    {
      CountingWork gone;
      reactor.AtEndOfTurn(&first);
      reactor.AtEndOfTurn(&gone);
      reactor.AtEndOfTurn(&last);
    }
    Event posted;
    reactor.Post([&posted] { posted.Notify(); });
    co_await Wait(posted);
    EXPECT_EQ(first.count, 1);
    EXPECT_EQ(last.count, 1);
  };
  RunStory(reactor, story());
}

TEST(SocketTest, ConnectsAcceptsAndCarriesBytesUntilBothEnd) {
  Reactor reactor;
  const auto story = [&]() -> Task<void> {
    auto listener = Listener::Open(*Address::Parse("127.0.0.1:0"), false);
    EXPECT_TRUE(listener.ok());
    auto client = co_await Connect((*listener)->local(), MonotonicNow() + 10 * kSecond);
    EXPECT_TRUE(client.ok()) << client.status();
    const std::unique_ptr<Socket> server = co_await (*listener)->Accept();
    EXPECT_EQ(server->peer(), (*client)->local());
    EXPECT_FALSE(server->original_destination().has_value());
    const std::string sent(1'000'000, 'x');
    const auto send = [](Socket& to, std::string_view bytes) -> Task<void> {
      EXPECT_TRUE(co_await WriteAll(to, AsBytes(bytes)));
      to.ShutdownWrite();
    };
    size_t received = 0;
    const auto receive = [](Socket& from, size_t* total) -> Task<void> {
      std::vector<uint8_t> room(5000);
      for (;;) {
        const IoResult result = from.Read(room);
        if (result.would_block()) {
          co_await Wait(from.readable());
        } else if (result.ok()) {
          *total += result.bytes;
        } else {
          EXPECT_TRUE(result.end());
          co_return;
        }
      }
    };
    co_await Both(send(**client, sent), receive(*server, &received));
    EXPECT_EQ(received, sent.size());
    EXPECT_TRUE(server->peer_closed());
  };
  RunStory(reactor, story());
}

TEST(SocketTest, ARefusedConnectionIsUnavailableAndSaysWhere) {
  Reactor reactor;
  const auto story = [&]() -> Task<void> {
    Address nobody;
    {
      auto listener = Listener::Open(*Address::Parse("127.0.0.1:0"), false);
      nobody = (*listener)->local();
    }
    const auto socket = co_await Connect(nobody, MonotonicNow() + 10 * kSecond);
    EXPECT_EQ(socket.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_NE(socket.status().message().find(nobody.ToString()), absl::string_view::npos);
  };
  RunStory(reactor, story());
}

TEST(SocketTest, AClosedListenerEndsAccept) {
  Reactor reactor;
  const auto story = [&]() -> Task<void> {
    auto listener = Listener::Open(*Address::Parse("[::1]:0"), false);
    if (!listener.ok()) co_return;  // no IPv6 here
    Listener* open = listener->get();
    reactor.Post([open] { open->Close(); });
    EXPECT_EQ(co_await open->Accept(), nullptr);
  };
  RunStory(reactor, story());
}

TEST(AddressTest, ReadsWhatItPrintsAndNamesWhatIsWrong) {
  for (const char* text : {"10.0.0.1:80", "[fd00::1]:443", "0.0.0.0:0"}) {
    const auto address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  EXPECT_EQ(Address::Parse("[::ffff:10.0.0.1]:80")->ToString(), "10.0.0.1:80");
  for (const char* text : {"", "10.0.0.1", "10.0.0.1:", "10.0.0.1:70000", "fd00::1:80", "tea:80",
                           "10.0.0.1:-1", "10.0.0.1:80x", "[10.0.0:80"}) {
    EXPECT_EQ(Address::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(BufferTest, KeepsOrderWhileItGrowsAndGivesItsMemoryBack) {
  Buffer buffer;
  std::string expected;
  std::string read;
  for (int i = 0; i < 5000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    buffer.Append(piece);
    expected += piece;
    if (i % 3 == 0) {
      const size_t n = std::min<size_t>(buffer.size(), 5);
      read += buffer.text().substr(0, n);
      buffer.Consume(n);
    }
  }
  read += buffer.text();
  EXPECT_EQ(read, expected);
  buffer.Consume(buffer.size());
  buffer.Release();
  EXPECT_EQ(buffer.capacity(), 0u);
}

}  // namespace
}  // namespace weft::io
