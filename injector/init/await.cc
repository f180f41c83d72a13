#include "injector/init/await.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/strings.h"

namespace weft {
namespace {

constexpr absl::Duration kBetween = absl::Milliseconds(100);
constexpr absl::Duration kAnswer = absl::Seconds(3);  // to each question
constexpr std::string_view kQuestion =
    "GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

absl::Status Failed(const char* doing) {
  return absl::UnavailableError(absl::StrCat(doing, ": ", std::strerror(errno)));
}

// The first line of the answer: "HTTP/1.1 503 Service Unavailable".
absl::Status AskOnce(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("socket");
  const absl::Cleanup close_fd = [fd] { close(fd); };
  const timeval patience = absl::ToTimeval(kAnswer);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Failed("connect");
  }
  if (send(fd, kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kQuestion.size())) {
    return Failed("send");
  }
  std::string line;
  char buffer[512];
  while (line.size() < sizeof buffer && line.find('\n') == std::string::npos) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0) return Failed("recv");
    if (got == 0) break;
    line.append(buffer, static_cast<size_t>(got));
  }
  line.resize(std::min(line.find_first_of("\r\n"), line.size()));
  if (line.starts_with("HTTP/1.1 200") || line.starts_with("HTTP/1.0 200")) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("it answers \"", line.substr(0, 100), "\""));
}

}  // namespace

absl::Status AwaitReady(std::string_view address, absl::Duration timeout) {
  const size_t colon = std::min(address.rfind(':'), address.size());
  sockaddr_in where{};
  where.sin_family = AF_INET;
  uint32_t port = 0;
  if (colon == address.size() ||
      inet_pton(AF_INET, std::string(address.substr(0, colon)).c_str(), &where.sin_addr) != 1 ||
      !absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(address), "\" is no IPv4 address and port"));
  }
  where.sin_port = htons(static_cast<uint16_t>(port));
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const absl::Status answer = AskOnce(where);
    if (answer.ok()) return answer;
    if (absl::Now() + kBetween > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("the sidecar at ", ToAbsl(address), " was not ready after ",
                       absl::FormatDuration(timeout), ": ", answer.message()));
    }
    absl::SleepFor(kBetween);
  }
}

}  // namespace weft
