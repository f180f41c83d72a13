// A pool against a server that is played by the test, over real TCP.
#include "sidecar/upstream/h1_pool.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/socket.h"

namespace weft::upstream {
namespace {

using Failure = http::ClientExchange::Failure;

class H1PoolTest : public testing::Test {
 public:
  H1PoolTest() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    socklen_t size = sizeof any;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size);
    const absl::StatusOr<io::Address> address =
        io::Address::FromIp("127.0.0.1", ntohs(any.sin_port));
    pool_ = std::make_shared<H1Pool>(Connector::Plain(*address), H1PoolOptions());
    request_.method = "POST";
    request_.path = "/";
    request_.authority = "tea";
    request_.has_body = false;
    request_.content_length = 0;
  }
  ~H1PoolTest() override { close(listener_); }

  void Run(io::Task<void> story) {
    constexpr auto kWrap = [](io::Task<void> task) -> io::Task<void> {
      co_await std::move(task);
      io::Reactor::Current()->Stop();
    };
    io::Spawn(kWrap(std::move(story)));
    reactor_.Run();
  }

  // The server's end of the connection that was opened last.
  int Accepted() const { return accept(listener_, nullptr, nullptr); }

  static void Answer(int server) {
    char request[4096];
    EXPECT_GT(recv(server, request, sizeof request, 0), 0);
    constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
    EXPECT_EQ(send(server, kAnswer.data(), kAnswer.size(), 0),
              static_cast<ssize_t>(kAnswer.size()));
  }

  static io::Task<void> AwaitHead(http::ClientExchange& exchange) {
    while (exchange.PeekHead() == http::Incoming::State::kWouldBlock) {
      co_await Wait(exchange.readable());
    }
  }

  // One exchange to its end; true if it was on a connection that had been used before. Sets
  // `*server` if a new one was opened.
  io::Task<bool> Exchange(Reuse reuse, int* server) {
    absl::StatusOr<H1Pool::Lease> lease = co_await pool_->Acquire(io::kNever, reuse);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease->reused()) *server = Accepted();
    lease->connection()->Send(request_);
    Answer(*server);
    co_await AwaitHead(*lease->connection());
    EXPECT_EQ(lease->connection()->response().status, 204);
    co_return lease->reused();
  }

  io::Reactor reactor_;
  http::RequestHead request_;
  std::shared_ptr<H1Pool> pool_;
  int listener_;
};

TEST_F(H1PoolTest, ReusesAConnectionUnlessANewOneIsAskedFor) {
  constexpr auto kStory = [](H1PoolTest& t) -> io::Task<void> {
    int server = -1;
    EXPECT_FALSE(co_await t.Exchange(Reuse::kAny, &server));
    EXPECT_TRUE(co_await t.Exchange(Reuse::kAny, &server));
    EXPECT_TRUE(co_await t.Exchange(Reuse::kCareful, &server));
    EXPECT_FALSE(co_await t.Exchange(Reuse::kNever, &server));
    close(server);
  };
  Run(kStory(*this));
}

TEST_F(H1PoolTest, OfAPeerThatWasSeenToCloseOnlyRepeatableRequestsReuseConnections) {
  constexpr auto kStory = [](H1PoolTest& t) -> io::Task<void> {
    int server = -1;
    EXPECT_FALSE(co_await t.Exchange(Reuse::kAny, &server));
    close(server);
    co_await io::Sleep(io::Reactor::Current()->now() + io::kMillisecond);  // a turn of the reactor
    // The close is found before anything is written.
    EXPECT_FALSE(co_await t.Exchange(Reuse::kCareful, &server));
    co_await io::Sleep(io::Reactor::Current()->now() + 20 * io::kMillisecond);
    EXPECT_FALSE(co_await t.Exchange(Reuse::kCareful, &server));
    EXPECT_TRUE(co_await t.Exchange(Reuse::kAny, &server));
    close(server);
  };
  Run(kStory(*this));
}

TEST_F(H1PoolTest, ARequestThatCrossedThePeersCloseWasNotProcessed) {
  constexpr auto kStory = [](H1PoolTest& t) -> io::Task<void> {
    int server = -1;
    EXPECT_FALSE(co_await t.Exchange(Reuse::kAny, &server));
    absl::StatusOr<H1Pool::Lease> lease = co_await t.pool_->Acquire(io::kNever, Reuse::kAny);
    EXPECT_TRUE(lease->reused());
    // Closed after the last look at the connection and before the request arrives.
    close(server);
    lease->connection()->Send(t.request_);
    co_await AwaitHead(*lease->connection());
    EXPECT_EQ(lease->connection()->failure(), Failure::kNotProcessed);
  };
  Run(kStory(*this));
}

TEST_F(H1PoolTest, ARequestThatArrivedMayHaveBeenProcessed) {
  constexpr auto kStory = [](H1PoolTest& t) -> io::Task<void> {
    int server = -1;
    EXPECT_FALSE(co_await t.Exchange(Reuse::kAny, &server));
    for (const bool read : {true, false}) {
      absl::StatusOr<H1Pool::Lease> lease = co_await t.pool_->Acquire(io::kNever, Reuse::kNever);
      server = t.Accepted();
      lease->connection()->Send(t.request_);
      char request[4096];
      EXPECT_GT(recv(server, request, sizeof request, read ? 0 : MSG_PEEK), 0);
      close(server);  // in order if all was read, else with a reset
      co_await AwaitHead(*lease->connection());
      EXPECT_EQ(lease->connection()->failure(), Failure::kUnknown) << read;
    }
  };
  Run(kStory(*this));
}

}  // namespace
}  // namespace weft::upstream
