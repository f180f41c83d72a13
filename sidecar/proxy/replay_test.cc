#include "sidecar/proxy/replay.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/io/buffer.h"
#include "sidecar/proxy/retry_budget.h"

namespace weft::proxy {
namespace {

// A body that is at hand in pieces.
class Source final : public http::Incoming {
 public:
  Source(std::string text, size_t piece) : text_(std::move(text)), piece_(piece) {}

  Piece Peek() override {
    if (text_.empty()) return {State::kEnd, {}};
    return {State::kData, io::AsBytes(text_).first(std::min(piece_, text_.size()))};
  }
  void Consume(size_t n) override { text_.erase(0, n); }
  io::Event& readable() override { return readable_; }
  const http::Headers& trailers() const override { return trailers_; }

 private:
  std::string text_;
  const size_t piece_;
  io::Event readable_;
  http::Headers trailers_;
};

// Takes up to `most` bytes, at most `step` at once.
std::string Take(http::Incoming& body, size_t most, size_t step) {
  std::string taken;
  while (taken.size() < most) {
    const http::Incoming::Piece piece = body.Peek();
    if (piece.state != http::Incoming::State::kData) break;
    const size_t n = std::min({piece.data.size(), step, most - taken.size()});
    taken += io::AsText(piece.data.first(n));
    body.Consume(n);
  }
  return taken;
}

TEST(ReplayTest, GivesTheSameBodyAgainWhereverItWasBrokenOff) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (size_t broken_off = 0; broken_off <= text.size(); ++broken_off) {
    Source source(text, 7);
    Replay body(source);
    EXPECT_EQ(Take(body, broken_off, 5), text.substr(0, broken_off));
    ASSERT_TRUE(body.at_hand());
    body.Rewind();
    // Broken off a second time, within what was kept or behind it.
    Take(body, broken_off / 2 + 3, 4);
    ASSERT_TRUE(body.at_hand());
    body.Rewind();
    EXPECT_EQ(Take(body, text.size() + 1, 3), text);
  }
}

TEST(ReplayTest, LetsLongBodiesPassWithoutKeepingThem) {
  const std::string text(Replay::kMaxBytes + 1, 'x');
  Source source(text, 1000);
  Replay body(source);
  Take(body, Replay::kMaxBytes, 1000);
  EXPECT_TRUE(body.at_hand());
  Take(body, 1, 1);
  EXPECT_FALSE(body.at_hand());
  EXPECT_EQ(body.Peek().state, http::Incoming::State::kEnd);
}

TEST(ReplayTest, ForgetsNothingThatARepetitionStillNeeds) {
  Source source("abcdef", 3);
  Replay body(source);
  Take(body, 3, 3);
  body.Rewind();
  EXPECT_EQ(Take(body, 1, 1), "a");
  body.Forget();
  EXPECT_EQ(Take(body, 5, 5), "bcdef");
  EXPECT_FALSE(body.at_hand());
}

TEST(RetryBudgetTest, AllowsABurstThenAFifthOfTheRequests) {
  RetryBudget budget;
  const io::Nanos now = io::kSecond;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(budget.Take(now)) << i;
  EXPECT_FALSE(budget.Take(now));
  int retries = 0;
  for (int i = 0; i < 1000; ++i) {
    budget.OnRequest();
    retries += budget.Take(now) ? 1 : 0;
  }
  EXPECT_EQ(retries, 200);
}

TEST(RetryBudgetTest, EarnsTenASecondWithoutRequestsAndNoMoreThanABurst) {
  RetryBudget budget;
  io::Nanos now = io::kSecond;
  while (budget.Take(now)) {
  }
  now += io::kSecond;
  int retries = 0;
  while (budget.Take(now)) ++retries;
  EXPECT_EQ(retries, 10);
  now += 3600 * io::kSecond;
  retries = 0;
  while (budget.Take(now)) ++retries;
  EXPECT_EQ(retries, 100);
}

}  // namespace
}  // namespace weft::proxy
