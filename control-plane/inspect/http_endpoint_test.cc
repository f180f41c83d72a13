#include "control-plane/inspect/http_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::inspect {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpEndpointTest : public ::testing::Test {
 protected:
  HttpEndpointTest() {
    endpoint_ = *HttpEndpoint::Start(
        "127.0.0.1:0",
        {{"/metrics", [] { return HttpEndpoint::Answer{.body = std::string(3'000'000, 'm')}; }},
         {"/healthz/ready", [] { return HttpEndpoint::Answer{.code = 503, .body = "no\n"}; }},
         {"/healthz/live", [] { return HttpEndpoint::Answer{.body = "live\n"}; }}});
  }

  int Connect() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(endpoint_->port()));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit = {.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  }

  static std::string ReadAll(int fd) {
    std::string all;
    char chunk[65536];
    ssize_t got = 0;
    while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0)
      all.append(chunk, static_cast<size_t>(got));
    close(fd);
    return all;
  }

  std::string Exchange(const std::string& request) {
    const int fd = Connect();
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    return ReadAll(fd);
  }

  std::unique_ptr<HttpEndpoint> endpoint_;
};

TEST_F(HttpEndpointTest, AnswersByPathAndMethod) {
  struct Case {
    std::string request;
    const char* start;
    const char* end;
  };
  for (const Case& c : std::vector<Case>{
           {"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n",
            "\r\n\r\nlive\n"},
           {"GET /healthz/live?verbose HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "live\n"},
           {"HEAD /healthz/live HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"},
           {"GET /healthz/ready HTTP/1.1\r\n\r\n", "HTTP/1.1 503 ", "no\n"},
           {"GET /elsewhere HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "\n"},
           {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 ", "\n"},
           {"nonsense\r\n\r\n", "HTTP/1.1 400 ", "\n"},
           {"GET /healthz/live SMTP\r\n\r\n", "HTTP/1.1 400 ", "\n"},
           {"\r\n\r\n", "HTTP/1.1 400 ", "\n"},
       }) {
    const std::string answer = Exchange(c.request);
    EXPECT_THAT(answer, StartsWith(c.start)) << c.request;
    EXPECT_THAT(answer, EndsWith(c.end)) << c.request;
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  }
}

TEST_F(HttpEndpointTest, ALargeAnswerArrivesWhole) {
  const std::string answer = Exchange("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3000000\r\n"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 3'000'000U);
}

TEST_F(HttpEndpointTest, AHeadWithoutEndIsRefused) {
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x')),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpEndpointTest, ClientsThatSayNothingDoNotHoldUpOthers) {
  std::vector<int> silent;
  for (int i = 0; i < 30; ++i) silent.push_back(Connect());
  EXPECT_THAT(Exchange("GET /healthz/live HTTP/1.1\r\n\r\n"), EndsWith("live\n"));
  for (const int fd : silent) close(fd);
}

TEST_F(HttpEndpointTest, MoreSilentClientsThanItTakesAreClosedInTime) {
  std::vector<int> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(Connect());
  EXPECT_THAT(Exchange("GET /healthz/live HTTP/1.1\r\n\r\n"), EndsWith("live\n"));
  for (const int fd : silent) close(fd);
}

TEST(HttpEndpointAddressTest, AnAddressThatIsNoneIsRefused) {
  for (const char* address : {"", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "::1:80",
                              "host.example:80", "[::1]", "127.0.0.1:99999"}) {
    EXPECT_FALSE(HttpEndpoint::Start(address, {}).ok()) << address;
  }
  const auto first = HttpEndpoint::Start("[::]:0", {});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT((*first)->port(), 0);
}

}  // namespace
}  // namespace weft::inspect
