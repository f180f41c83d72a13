#include "sidecar/admin/server.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/admin/request_target.h"
#include "sidecar/discovery/testing/reactor_run.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/stream.h"

namespace weft::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ParseTarget, ReadsTargetsAndQueries) {
  const struct {
    std::string target;
    std::string path;
    std::map<std::string, std::string> query;
  } cases[] = {
      {"/", "/", {}},
      {"/healthz/ready", "/healthz/ready", {}},
      {"/logging?level=debug", "/logging", {{"level", "debug"}}},
      {"/a%20b?x=1&y=%2F+z&flag", "/a b", {{"x", "1"}, {"y", "/ z"}, {"flag", ""}}},
      {"/a?x=1&x=2&&", "/a", {{"x", "2"}}},
      {"/%zz", "/%zz", {}},
      {"http://localhost:15000/stats?a=b", "/stats", {{"a", "b"}}},
      {"http://localhost:15000", "/", {}},
  };
  for (const auto& c : cases) {
    const RequestTarget target = ParseTarget(c.target);
    EXPECT_EQ(target.path, c.path) << c.target;
    EXPECT_EQ(target.query, c.query) << c.target;
  }
}

class ServerTest : public ::testing::Test {
 protected:
  void Open(Server::Options options = {}) {
    server_ = *Server::Open(*io::Address::Parse("127.0.0.1:0"), options);
    server_->Get("/hello", "greets", [](const Request&) { return Response{.body = "hello\n"}; });
    server_->Post("/level", "sets", [](const Request& r) {
      return Response{.body = r.query.contains("v") ? r.query.at("v") : "none"};
    });
  }

  // Sends the bytes and reads until the server closes, or until `enough` is there.
  std::string Exchange(const std::string& bytes, const std::string& enough = "") {
    std::string answer;
    bool done = false;
    io::Spawn([](io::Address to, const std::string& out, const std::string& until, std::string* in,
                 bool* end) -> io::Task<void> {
      auto socket = co_await io::Connect(to, io::kNever);
      co_await io::WriteAll(**socket, io::AsBytes(out));
      uint8_t piece[4096];
      while (until.empty() || in->find(until) == std::string::npos) {
        const io::IoResult read = (*socket)->Read(piece);
        if (read.would_block()) {
          co_await io::Wait((*socket)->readable());
        } else if (read.ok()) {
          in->append(reinterpret_cast<char*>(piece), read.bytes);
        } else {
          break;
        }
      }
      *end = true;
    }(server_->local(), bytes, enough, &answer, &done));
    EXPECT_TRUE(discovery::RunUntil(reactor_, [&] { return done; }));
    return answer;
  }

  // What waits for connections ends when the reactor runs after the server has gone.
  ~ServerTest() override {
    server_.reset();
    int turns = 0;
    discovery::RunUntil(reactor_, [&] { return ++turns > 3; });
  }

  io::Reactor reactor_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersByPathAndMethod) {
  Open();
  const struct {
    std::string request_line;
    std::string status_line;
    std::string body;
  } cases[] = {
      {"GET /hello HTTP/1.1", "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n"},
      {"GET /hello HTTP/1.0", "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n"},
      {"HEAD /hello HTTP/1.1", "HTTP/1.1 200 OK\r\n", "Content-Length: 6\r\n"},
      {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\n", "/hello\tGET\tgreets"},
      {"GET /nothing HTTP/1.1", "HTTP/1.1 404 Not Found\r\n", "/hello"},
      {"POST /hello HTTP/1.1", "HTTP/1.1 405 Method Not Allowed\r\n", "does not take POST"},
      {"DELETE /hello HTTP/1.1", "HTTP/1.1 405 Method Not Allowed\r\n", "does not take DELETE"},
      {"POST /level?v=7 HTTP/1.1", "HTTP/1.1 200 OK\r\n", "\r\n\r\n7"},
      {"nonsense", "HTTP/1.1 400 Bad Request\r\n", "the request line is malformed"},
  };
  for (const auto& c : cases) {
    const std::string answer =
        Exchange(c.request_line + "\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith(c.status_line)) << c.request_line;
    EXPECT_THAT(answer, HasSubstr(c.body)) << c.request_line;
  }
  EXPECT_THAT(Exchange("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              Not(HasSubstr("hello")));
}

TEST_F(ServerTest, ServesSeveralRequestsOnOneConnectionInOrder) {
  Open();
  const std::string answer = Exchange(
      "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /level?v=first HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
      "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const size_t first = answer.find("hello\n");
  const size_t second = answer.find("first");
  ASSERT_NE(first, std::string::npos);
  ASSERT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
  EXPECT_NE(answer.find("hello\n", second), std::string::npos);
}

TEST_F(ServerTest, RefusesHeadsAndBodiesAbove8KiB) {
  Open();
  EXPECT_THAT(
      Exchange("GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(9000, 'a') + "\r\n\r\n",
               "8 KiB"),
      StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Exchange("POST /level HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" +
                           std::string(9000, 'a'),
                       "8 KiB"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, ClosesAConnectionThatSendsNothing) {
  Open({.idle_timeout = 20 * io::kMillisecond});
  EXPECT_EQ(Exchange(""), "");
}

TEST_F(ServerTest, TellsAClientThatStopsInTheMiddleThatItIsLate) {
  Open({.idle_timeout = 20 * io::kMillisecond});
  const std::string answer = Exchange("GET /hello HTT");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer, HasSubstr("the head did not come in time"));
}

TEST_F(ServerTest, MakesConnectionsAboveTheLimitWaitUntilOneHasEnded) {
  Open({.max_connections = 1, .idle_timeout = 20 * io::kMillisecond});
  bool idle_open = false;
  io::Spawn([](io::Address to, bool* open) -> io::Task<void> {
    auto socket = co_await io::Connect(to, io::kNever);
    *open = true;
    uint8_t byte[1];
    while ((*socket)->Read(byte).would_block()) co_await io::Wait((*socket)->readable());
  }(server_->local(), &idle_open));
  ASSERT_TRUE(discovery::RunUntil(reactor_, [&] { return idle_open; }));
  EXPECT_THAT(Exchange("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("hello"));
}

TEST_F(ServerTest, AnswersFromAHandlerThatWaits) {
  Open();
  server_->Get("/slow", "waits", [](Request) -> io::Task<Response> {
    co_await io::Sleep(io::MonotonicNow() + 5 * io::kMillisecond);
    co_return Response{.status = 503, .body = "later\n"};
  });
  EXPECT_THAT(Exchange("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

}  // namespace
}  // namespace weft::admin
