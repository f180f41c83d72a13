#include "sidecar/await_ready.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace weft {
namespace {

constexpr absl::Duration kLookAgain = absl::Milliseconds(50);
constexpr absl::Duration kMaxAnswerTime = absl::Seconds(2);
constexpr size_t kMaxAnswerBytes = 8 * 1024;
constexpr std::string_view kRequest =
    "GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

// The whole answer; empty if nobody answered.
std::string Ask(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  const timeval limit = absl::ToTimeval(kMaxAnswerTime);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(kRequest.size())) {
    char piece[1024];
    ssize_t n = 0;
    while (answer.size() < kMaxAnswerBytes && (n = recv(fd, piece, sizeof piece, 0)) > 0) {
      answer.append(piece, static_cast<size_t>(n));
    }
  }
  close(fd);
  return answer;
}

}  // namespace

absl::Status AwaitReady(uint16_t health_port, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const std::string answer = Ask(health_port);
    if (answer.starts_with("HTTP/1.1 200 ")) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      const size_t body = answer.find("\r\n\r\n");
      return absl::DeadlineExceededError(absl::StrCat(
          "--await-ready: the sidecar is not ready after ", absl::FormatDuration(timeout), ": ",
          body == std::string::npos ? "nobody answers" : answer.substr(body + 4)));
    }
    absl::SleepFor(kLookAgain);
  }
}

}  // namespace weft
