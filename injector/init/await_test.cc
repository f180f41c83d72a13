#include "injector/init/await.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// Gives each of the answers to one connection, then listens no more.
class Sidecar {
 public:
  explicit Sidecar(std::vector<std::string> answers) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answers = std::move(answers)] {
      for (const std::string& answer : answers) {
        const int connection = accept(fd_, nullptr, nullptr);
        char request[512];
        EXPECT_GT(read(connection, request, sizeof request), 0);
        EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(answer.size()));
        close(connection);
      }
      close(fd_);
    });
  }
  ~Sidecar() { thread_.join(); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  const int fd_;
  int port_ = 0;
  std::thread thread_;
};

TEST(AwaitTest, WaitsUntilTheSidecarIsReady) {
  const Sidecar sidecar({"HTTP/1.1 503 Service Unavailable\r\n\r\n", "",
                         "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"});
  EXPECT_TRUE(AwaitReady(sidecar.address(), absl::Seconds(60)).ok());
}

TEST(AwaitTest, GivesUpWithTheLastAnswer) {
  const Sidecar sidecar({"HTTP/1.1 503 Service Unavailable\r\n\r\n"});
  const absl::Status status = AwaitReady(sidecar.address(), absl::ZeroDuration());
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("HTTP/1.1 503 Service Unavailable"));
}

TEST(AwaitTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "127.0.0.1", "localhost:1", "127.0.0.1:0", "127.0.0.1:70000"}) {
    EXPECT_EQ(AwaitReady(address, absl::ZeroDuration()).code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

}  // namespace
}  // namespace weft
