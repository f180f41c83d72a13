#include "sidecar/proxy/relay.h"

#include "gtest/gtest.h"
#include "sidecar/io/reactor.h"

namespace weft::proxy {
namespace {

using http::Headers;
using http::Incoming;

// A body of which nothing comes, however often its event fires.
class Silence final : public Incoming {
 public:
  Piece Peek() override { return {State::kWouldBlock, {}}; }
  void Consume(size_t /*n*/) override {}
  io::Event& readable() override { return readable_; }
  const Headers& trailers() const override { return trailers_; }

 private:
  io::Event readable_;
  Headers trailers_;
};

// Takes everything.
class Sink final : public http::Outgoing {
 public:
  size_t Write(std::span<const uint8_t> from) override { return from.size(); }
  void End(const Headers& /*trailers*/) override {}
  void Flush() override {}
  io::Event& writable() override { return writable_; }
  bool write_failed() const override { return false; }

 private:
  io::Event writable_;
};

TEST(RelayTest, BytesThatAreNoBodyDoNotKeepARelayAlive) {
  io::Reactor reactor;
  Silence from;
  Sink to;
  bool ended = false;
  // Such as the extensions of a chunk that never begins.
  const auto drip = [&]() -> io::Task<void> {
    io::Event never;
    while (!ended) {
      co_await Wait(never, io::Reactor::Current()->now() + io::kMillisecond);
      from.readable().Notify();
    }
    reactor.Stop();
  };
  const auto relay = [&]() -> io::Task<void> {
    uint64_t bytes = 0;
    const BodyOutcome outcome =
        co_await RelayBody(from, to, {.idle = 20 * io::kMillisecond}, &bytes);
    EXPECT_EQ(outcome, BodyOutcome::kIdle);
    EXPECT_EQ(bytes, 0u);
    ended = true;
  };
  io::Spawn(drip());
  io::Spawn(relay());
  reactor.Run();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace weft::proxy
