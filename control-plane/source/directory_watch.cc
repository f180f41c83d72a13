#include "control-plane/source/directory_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"

namespace weft::source {
namespace {

constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE |
                             IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                             IN_ONLYDIR;

constexpr absl::Duration kWriterPatience = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryWatch>> DirectoryWatch::Create() {
  const int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify < 0) return absl::ErrnoToStatus(errno, "cannot watch directories: inotify_init1");
  const int stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (stop < 0) {
    absl::Status status = absl::ErrnoToStatus(errno, "cannot watch directories: eventfd");
    close(inotify);
    return status;
  }
  return absl::WrapUnique(new DirectoryWatch(inotify, stop));
}

DirectoryWatch::DirectoryWatch(int inotify, int stop) : inotify_(inotify), stop_(stop) {}

DirectoryWatch::~DirectoryWatch() {
  close(inotify_);
  close(stop_);
}

void DirectoryWatch::Begin() { added_.clear(); }

void DirectoryWatch::Add(const std::string& directory) {
  const int watch = inotify_add_watch(inotify_, directory.c_str(), kEvents);
  if (watch < 0) {
    if (errno != ENOENT) {
      WEFT_LOG_WARN("cannot watch {} (errno {}); changes there are seen late", directory, errno);
    }
    return;
  }
  // The kernel gives one descriptor per directory, by whatever name it is added.
  if (added_.insert(watch).second) directories_[watch] = directory;
}

void DirectoryWatch::End() {
  absl::erase_if(directories_, [this](const auto& entry) {
    if (added_.contains(entry.first)) return false;
    inotify_rm_watch(inotify_, entry.first);
    return true;
  });
}

bool DirectoryWatch::Wait(absl::Duration timeout, absl::Duration quiet) {
  if (!Poll(timeout)) return false;
  const absl::Time deadline = absl::Now() + 10 * quiet;
  do {
    Drain();
  } while (absl::Now() < deadline && Poll(quiet));
  return !stopped();
}

bool DirectoryWatch::Poll(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    pollfd fds[] = {{inotify_, POLLIN, 0}, {stop_, POLLIN, 0}};
    const int64_t left = std::max<int64_t>(
        0, absl::ToInt64Milliseconds(absl::Ceil(deadline - absl::Now(), absl::Milliseconds(1))));
    const int ready = poll(fds, 2, static_cast<int>(std::min<int64_t>(left, 3'600'000)));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && fds[1].revents == 0;
  }
}

void DirectoryWatch::Drain() {
  alignas(inotify_event) char buffer[16 << 10];
  const absl::Time now = absl::Now();
  ssize_t count;
  while ((count = read(inotify_, buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event)) + static_cast<ssize_t>(event->len);
      auto directory = directories_.find(event->wd);
      if (directory == directories_.end() || event->len == 0) continue;
      const std::string path =
          absl::StrCat(directory->second, "/", static_cast<const char*>(event->name));
      if ((event->mask & IN_MODIFY) != 0) {
        being_written_[path] = now;
      } else if ((event->mask & IN_ATTRIB) == 0) {
        being_written_.erase(path);
      }
      if ((event->mask & IN_IGNORED) != 0) directories_.erase(directory);
    }
  }
  absl::erase_if(being_written_,
                 [now](const auto& entry) { return now - entry.second > kWriterPatience; });
}

bool DirectoryWatch::IsBeingWritten(const std::string& path) const {
  auto it = being_written_.find(path);
  return it != being_written_.end() && absl::Now() - it->second <= kWriterPatience;
}

void DirectoryWatch::Stop() {
  const uint64_t one = 1;
  // An eventfd takes a first write always.
  [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
}

bool DirectoryWatch::stopped() const {
  pollfd fd{stop_, POLLIN, 0};
  return poll(&fd, 1, 0) > 0;
}

}  // namespace weft::source
