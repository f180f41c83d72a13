#include "injector/init/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

extern char** environ;

namespace weft {
namespace {

constexpr size_t kMaxOutputBytes = 16 << 20;
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Containers are often started with a PATH that lacks the sbin directories, where iptables lives.
std::string FindProgram(std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    return access(std::string(name).c_str(), X_OK) == 0 ? std::string(name) : "";
  }
  const char* path = getenv("PATH");
  for (absl::string_view directory :
       absl::StrSplit(absl::StrCat(path ? path : "", ":", kDefaultPath), ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(directory, "/", ToAbsl(name));
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// Both ends of a pipe; closes what is left open.
struct Pipe {
  int read_end = -1;
  int write_end = -1;

  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  static void Close(int* end) {
    if (*end >= 0) close(*end);
    *end = -1;
  }
  ~Pipe() {
    Close(&read_end);
    Close(&write_end);
  }
};

// Appends what is there; false at the end of the stream.
bool ReadSome(int fd, std::string* to) {
  std::array<char, 65536> buffer;
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  to->append(buffer.data(), static_cast<size_t>(count));
  return count > 0;
}

// Feeds and drains the three pipes until the program has closed its outputs.
absl::Status Exchange(std::string_view input, Pipe* in, Pipe* out, Pipe* err,
                      ProcessResult* result) {
  fcntl(in->write_end, F_SETFL, O_NONBLOCK);
  if (input.empty()) Pipe::Close(&in->write_end);
  while (out->read_end >= 0 || err->read_end >= 0) {
    pollfd polled[3] = {
        {in->write_end, POLLOUT, 0}, {out->read_end, POLLIN, 0}, {err->read_end, POLLIN, 0}};
    if (poll(polled, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, "poll");
    }
    if (polled[0].revents != 0) {
      const ssize_t count = write(in->write_end, input.data(), input.size());
      if (count > 0) input.remove_prefix(static_cast<size_t>(count));
      // A program that stops reading says why by its exit code.
      if (input.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        Pipe::Close(&in->write_end);
      }
    }
    if (polled[1].revents != 0 && !ReadSome(out->read_end, &result->out)) {
      Pipe::Close(&out->read_end);
    }
    if (polled[2].revents != 0 && !ReadSome(err->read_end, &result->err)) {
      Pipe::Close(&err->read_end);
    }
    if (result->out.size() > kMaxOutputBytes || result->err.size() > kMaxOutputBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxOutputBytes, " bytes of output"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool ProgramExists(std::string_view name) { return !FindProgram(name).empty(); }

absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& argv,
                                         std::string_view input) {
  const std::string program = FindProgram(argv[0]);
  if (program.empty()) return absl::NotFoundError(absl::StrCat("no program ", argv[0], " in PATH"));
  Pipe in, out, err;
  if (!in.Open() || !out.Open() || !err.Open()) return absl::ErrnoToStatus(errno, "pipe");

  // A program that exits without reading its input must not end this process.
  signal(SIGPIPE, SIG_IGN);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read_end, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write_end, 1);
  posix_spawn_file_actions_adddup2(&actions, err.write_end, 2);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int spawned =
      posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return absl::ErrnoToStatus(spawned, program);
  Pipe::Close(&in.read_end);
  Pipe::Close(&out.write_end);
  Pipe::Close(&err.write_end);

  ProcessResult result;
  const absl::Status exchanged = Exchange(input, &in, &out, &err, &result);
  if (!exchanged.ok()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!exchanged.ok()) {
    return absl::Status(exchanged.code(), absl::StrCat(argv[0], ": ", exchanged.message()));
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace weft
