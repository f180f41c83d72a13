#include "tools/meshctl/cluster_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace weft::meshctl {
namespace {

constexpr size_t kMaxBytes = 64 * 1024;
constexpr absl::Duration kGrace = absl::Seconds(2);
constexpr int kExitNotStarted = 127;

// Appends what is there; false at the end of the stream.
bool ReadSome(int fd, std::string& to) {
  std::array<char, 4096> buffer;
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  to.append(buffer.data(), static_cast<size_t>(count));
  return count > 0;
}

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void CloseIfOpen(int fd) {
  if (fd >= 0) close(fd);
}

}  // namespace

absl::StatusOr<Child> Child::Start(const std::vector<std::string>& argv, Output output) {
  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  if (output == Output::kRead) {
    if (pipe2(out, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
    if (pipe2(err, O_CLOEXEC) != 0) {
      const int error = errno;
      close(out[0]);
      close(out[1]);
      return absl::ErrnoToStatus(error, "pipe");
    }
    fcntl(err[0], F_SETFL, O_NONBLOCK);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    // Between fork and exec only what is safe in a program with threads.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(kExitNotStarted);
    if (output == Output::kRead) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      const int nothing = open("/dev/null", O_RDONLY);
      if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    }
    execvp(arguments[0], arguments.data());
    _exit(kExitNotStarted);
  }
  const int error = errno;
  CloseIfOpen(out[1]);
  CloseIfOpen(err[1]);
  if (pid < 0) {
    CloseIfOpen(out[0]);
    CloseIfOpen(err[0]);
    return absl::ErrnoToStatus(error, "fork");
  }
  return Child(pid, out[0], err[0]);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      buffered_(std::move(other.buffered_)) {}

Child::~Child() {
  CloseIfOpen(out_);
  CloseIfOpen(err_);
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  const absl::Time deadline = absl::Now() + kGrace;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (absl::Now() > deadline) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      return;
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
}

absl::StatusOr<std::string> Child::ReadLine(absl::Time deadline) {
  while (true) {
    if (const size_t end = buffered_.find('\n'); end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    if (buffered_.size() > kMaxBytes) return absl::ResourceExhaustedError("a line without end");
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("no answer in time");
    pollfd polled = {out_, POLLIN, 0};
    const int ready = poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready > 0 && !ReadSome(out_, buffered_)) return absl::OutOfRangeError("it has ended");
  }
}

std::string Child::Errors() {
  std::string said;
  while (said.size() < kMaxBytes) {
    const size_t before = said.size();
    if (!ReadSome(err_, said) || said.size() == before) break;
  }
  return said;
}

int Child::Wait() {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction interrupt = {};
  struct sigaction quit = {};
  sigaction(SIGINT, &ignore, &interrupt);
  sigaction(SIGQUIT, &ignore, &quit);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  sigaction(SIGINT, &interrupt, nullptr);
  sigaction(SIGQUIT, &quit, nullptr);
  return ExitCodeOf(status);
}

}  // namespace weft::meshctl
