#include "control-plane/ca/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace weft::ca {
namespace {

absl::Status SystemError(std::string_view doing, const std::string& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(ToAbsl(doing), " ", path));
}

absl::Status CheckOwner(const struct stat& info, const std::string& path) {
  if (info.st_uid == geteuid()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s belongs to user %d, but this process runs as user %d: run it as the owner, "
      "or change the owner with chown",
      path, info.st_uid, geteuid()));
}

absl::Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("cannot write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) return SystemError("cannot sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StateDirectory> StateDirectory::Open(std::string_view path) {
  std::string directory(path);
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  if (directory.empty()) return absl::InvalidArgumentError("the state directory's path is empty");
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("cannot create the state directory", directory);
  }
  struct stat info = {};
  if (stat(directory.c_str(), &info) != 0) {
    return SystemError("cannot read the state directory", directory);
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("state directory ", directory, " is not a directory"));
  }
  if (absl::Status owner = CheckOwner(info, directory); !owner.ok()) return owner;
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "state directory ", directory,
        " is writable by others, who could replace the CA in it: chmod go-w ", directory));
  }
  return StateDirectory(std::move(directory));
}

std::string StateDirectory::PathOf(std::string_view file) const {
  return absl::StrCat(path_, "/", ToAbsl(file));
}

absl::StatusOr<std::string> StateDirectory::ReadSecret(std::string_view file,
                                                       size_t max_bytes) const {
  const std::string path = PathOf(file);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return SystemError("cannot open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info = {};
  if (fstat(fd, &info) != 0) return SystemError("cannot read", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  if (absl::Status owner = CheckOwner(info, path); !owner.ok()) return owner;
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s holds secrets but has mode %04o: consider them read by others, replace them if that "
        "matters, and chmod 0600 %s",
        path, info.st_mode & 07777, path));
  }
  if (static_cast<size_t>(info.st_size) > max_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is larger than ", max_bytes, " bytes"));
  }
  std::string content(static_cast<size_t>(info.st_size), '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = read(fd, content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("cannot read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  content.resize(size);
  return content;
}

absl::StatusOr<std::string> StateDirectory::WriteTemporary(std::string_view file,
                                                           std::string_view content,
                                                           mode_t mode) const {
  static std::atomic<uint64_t> counter{0};
  std::string path = absl::StrCat(path_, "/.", ToAbsl(file), ".", getpid(), ".", ++counter);
  unlink(path.c_str());  // left by a process of the same number that was killed
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("cannot create", path);
  absl::Status status = WriteAll(fd, content, path);
  if (status.ok() && fchmod(fd, mode) != 0) status = SystemError("cannot set the mode of", path);
  close(fd);
  if (!status.ok()) {
    unlink(path.c_str());
    return status;
  }
  return path;
}

absl::Status StateDirectory::SyncDirectory() const {
  const int fd = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open", path_);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  if (fsync(fd) != 0) return SystemError("cannot sync", path_);
  return absl::OkStatus();
}

absl::Status StateDirectory::Write(std::string_view file, std::string_view content,
                                   mode_t mode) const {
  absl::StatusOr<std::string> temporary = WriteTemporary(file, content, mode);
  if (!temporary.ok()) return temporary.status();
  const std::string path = PathOf(file);
  if (rename(temporary->c_str(), path.c_str()) != 0) {
    absl::Status status = SystemError("cannot replace", path);
    unlink(temporary->c_str());
    return status;
  }
  return SyncDirectory();
}

absl::Status StateDirectory::Create(std::string_view file, std::string_view content,
                                    mode_t mode) const {
  absl::StatusOr<std::string> temporary = WriteTemporary(file, content, mode);
  if (!temporary.ok()) return temporary.status();
  const std::string path = PathOf(file);
  // Unlike rename, link never replaces what is there.
  const absl::Status linked = link(temporary->c_str(), path.c_str()) == 0
                                  ? absl::OkStatus()
                                  : SystemError("cannot create", path);
  unlink(temporary->c_str());
  if (!linked.ok()) return linked;
  return SyncDirectory();
}

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return SystemError("cannot open the lock", path);
  while (flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    absl::Status status = SystemError("cannot lock", path);
    close(fd);
    return status;
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace weft::ca
