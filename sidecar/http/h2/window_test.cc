// How much slow readers may hold, and what quick ones are given.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h2/held_bytes.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/test_peers.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;

class WindowTest : public testing::Test {
 protected:
  io::Reactor reactor_;
};

// A server that answers nothing, so that what it is sent waits, and the exchanges that fill it.
struct Hoard {
  explicit Hoard(const Limits& limits)
      : pair(
            [this](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
              if (exchange->request().path == "/quick") {
                co_await Echo(std::move(exchange));
              } else {
                held.push_back(std::move(exchange));
              }
            },
            limits) {}

  io::Task<void> Open() {
    senders.push_back(pair.client().Open());
    senders.back()->Send(Post("/slow"));
    const size_t wanted = senders.size();
    co_await Until([this, wanted] { return held.size() == wanted; });
  }

  // Writes to all until `expected` bytes wait, and a little longer to see that it stays so.
  io::Task<void> Fill(size_t expected) {
    const std::string chunk(10'000, 's');
    for (int more = 10; more > 0;) {
      for (const auto& sender : senders) sender->Write(io::AsBytes(chunk));
      co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
      if (pair.server().unconsumed_bytes() >= expected) --more;
    }
    EXPECT_EQ(pair.server().unconsumed_bytes(), expected);
  }

  void ConsumeAll() {
    for (const auto& exchange : held) {
      for (Incoming::Piece piece = exchange->Peek(); piece.state == State::kData;
           piece = exchange->Peek()) {
        exchange->Consume(piece.data.size());
      }
    }
    EXPECT_EQ(pair.server().unconsumed_bytes(), 0);
  }

  io::Task<void> End() {
    senders.clear();
    held.clear();
    co_await pair.End();
  }

  std::vector<std::unique_ptr<ServerExchange>> held;
  std::vector<std::unique_ptr<ClientExchange>> senders;
  Pair pair;
};

TEST_F(WindowTest, AHundredReadersThatDoNotReadDoNotStopAnother) {
  RunStory([]() -> io::Task<void> {
    const Limits limits;
    Hoard hoard(limits);
    for (int i = 0; i < 100; ++i) co_await hoard.Open();
    const size_t most = 100 * limits.first_window_bytes;
    co_await hoard.Fill(most);
    std::unique_ptr<ClientExchange> quick = hoard.pair.client().Open();
    quick->Send(Post("/quick"));
    co_await WriteBody(*quick, std::string(10'000, 'q'));
    quick->End({});
    EXPECT_EQ(co_await AwaitHead(*quick), State::kData);
    EXPECT_EQ((co_await ReadBody(*quick)).bytes.size(), 10'000);
    EXPECT_EQ(hoard.pair.server().unconsumed_bytes(), most);
    quick.reset();
    co_await hoard.End();
  }());
}

TEST_F(WindowTest, WhatAllSessionsOfAThreadHoldIsBoundedAndFlowsAgainOnceItIsRead) {
  RunStory([]() -> io::Task<void> {
    constexpr size_t kMost = 200'000;
    SetMaxHeldBytes(kMost);
    Limits limits;
    limits.connection_window_bytes = 100'000;
    Hoard hoard(limits);
    for (int i = 0; i < 20; ++i) co_await hoard.Open();
    // The connection's window is not returned any more.
    const std::string chunk(10'000, 's');
    for (int turn = 0; turn < 50; ++turn) {
      for (const auto& sender : hoard.senders) sender->Write(io::AsBytes(chunk));
      co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
    }
    EXPECT_TRUE(HoldsTooMuch());
    EXPECT_GT(hoard.pair.server().unconsumed_bytes(), kMost);
    EXPECT_LE(hoard.pair.server().unconsumed_bytes(), kMost + limits.connection_window_bytes);
    hoard.ConsumeAll();
    EXPECT_FALSE(HoldsTooMuch());
    // All that was withheld has been returned: another round gets as far.
    co_await Until([&hoard] { return hoard.pair.server().unconsumed_bytes() > kMost; });
    hoard.ConsumeAll();
    co_await hoard.End();
    EXPECT_FALSE(HoldsTooMuch());
    SetMaxHeldBytes(SIZE_MAX);
  }());
}

TEST_F(WindowTest, ABodyThatIsReadGetsAWiderWindowWithinTheBudgetOfAll) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.first_window_bytes = 100'000;
    limits.stream_window_bytes = 300'000;
    limits.widened_bytes = 250'000;
    Hoard hoard(limits);
    co_await hoard.Open();
    co_await hoard.Fill(100'000);
    hoard.ConsumeAll();
    co_await hoard.Fill(200'000);
    hoard.ConsumeAll();
    co_await hoard.Fill(300'000);
    hoard.ConsumeAll();
    // For a second one there is too little left: 50,000.
    co_await hoard.Open();
    co_await hoard.Fill(300'000 + 100'000);
    hoard.ConsumeAll();
    co_await hoard.Fill(300'000 + 100'000);
    hoard.ConsumeAll();
    // What a stream gives back when it is gone is there for the next.
    hoard.senders.erase(hoard.senders.begin());
    co_await Until([&hoard] { return hoard.held.front()->write_failed(); });
    co_await hoard.Fill(100'000);
    hoard.ConsumeAll();
    co_await hoard.Fill(200'000);
    co_await hoard.End();
  }());
}

}  // namespace
}  // namespace weft::http::h2
