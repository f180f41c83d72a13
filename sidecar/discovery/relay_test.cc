#include "sidecar/discovery/relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/discovery/testing/reactor_run.h"
#include "sidecar/io/socket.h"

namespace weft::discovery {
namespace {

// A relay between two socket pairs, whose outer ends the test holds.
class RelayTest : public ::testing::Test {
 protected:
  RelayTest() {
    auto [left, near] = Pair();
    auto [right, far] = Pair();
    left_ = std::move(left);
    right_ = std::move(right);
    relay_ = std::make_shared<Relay>(std::move(near), std::move(far));
    relay_->Start();
  }

  ~RelayTest() override {
    relay_->Cut();
    RunUntil(reactor_, [&] { return relay_.use_count() == 1; });
  }

  static std::pair<std::unique_ptr<io::Socket>, std::unique_ptr<io::Socket>> Pair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return {io::Socket::Adopt(fds[0]), io::Socket::Adopt(fds[1])};
  }

  io::Reactor reactor_;
  std::unique_ptr<io::Socket> left_;
  std::unique_ptr<io::Socket> right_;
  std::shared_ptr<Relay> relay_;
};

io::Task<void> WriteThenEnd(io::Socket* socket, size_t bytes, bool* done) {
  const std::string data(bytes, 'd');
  EXPECT_TRUE(
      co_await io::WriteAll(*socket, {reinterpret_cast<const uint8_t*>(data.data()), data.size()}));
  socket->ShutdownWrite();
  *done = true;
}

io::Task<void> ReadToEnd(io::Socket* socket, size_t* bytes, bool* ended) {
  uint8_t piece[4096];
  for (;;) {
    const io::IoResult read = socket->Read(piece);
    if (read.ok()) {
      *bytes += read.bytes;
    } else if (read.would_block()) {
      co_await io::Wait(socket->readable());
    } else {
      *ended = true;
      co_return;
    }
  }
}

TEST_F(RelayTest, CarriesBytesBothWaysAndPassesTheEndOfEachOnBeforeTheOther) {
  constexpr size_t kBytes = 3'000'000;
  bool written = false;
  bool right_ended = false;
  size_t right_bytes = 0;
  io::Spawn(ReadToEnd(right_.get(), &right_bytes, &right_ended));
  io::Spawn(WriteThenEnd(left_.get(), kBytes, &written));
  ASSERT_TRUE(RunUntil(reactor_, [&] { return right_ended; }));
  EXPECT_EQ(right_bytes, kBytes);

  // The other direction still runs.
  bool left_ended = false;
  size_t left_bytes = 0;
  io::Spawn(ReadToEnd(left_.get(), &left_bytes, &left_ended));
  io::Spawn(WriteThenEnd(right_.get(), kBytes, &written));
  ASSERT_TRUE(RunUntil(reactor_, [&] { return left_ended; }));
  EXPECT_EQ(left_bytes, kBytes);
  EXPECT_TRUE(RunUntil(reactor_, [&] { return relay_.use_count() == 1; }));
}

TEST_F(RelayTest, ASlowReaderStopsItsWriter) {
  bool written = false;
  io::Spawn(WriteThenEnd(left_.get(), 64 << 20, &written));
  // Nobody reads: what fits into the kernel's and the relay's buffers goes, the rest waits.
  EXPECT_FALSE(RunUntil(reactor_, [&] { return written; }, 100 * io::kMillisecond));
  size_t bytes = 0;
  bool ended = false;
  io::Spawn(ReadToEnd(right_.get(), &bytes, &ended));
  EXPECT_TRUE(RunUntil(reactor_, [&] { return ended && written; }));
  EXPECT_EQ(bytes, size_t{64} << 20);
}

TEST_F(RelayTest, CuttingClosesBothEnds) {
  bool left_ended = false;
  bool right_ended = false;
  size_t bytes = 0;
  io::Spawn(ReadToEnd(left_.get(), &bytes, &left_ended));
  io::Spawn(ReadToEnd(right_.get(), &bytes, &right_ended));
  relay_->Cut();
  EXPECT_TRUE(RunUntil(reactor_, [&] { return left_ended && right_ended; }));
}

}  // namespace
}  // namespace weft::discovery
