// The control plane's state directory: a few small files, secrets among them, that outlive the
// process. Secrets are readable by their owner alone; every write is atomic and on disk before it
// counts.
#ifndef WEFT_CONTROL_PLANE_CA_STATE_DIRECTORY_H_
#define WEFT_CONTROL_PLANE_CA_STATE_DIRECTORY_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::ca {

// A value that names the directory; several processes may use it at the same time.
class StateDirectory {
 public:
  // Opens the directory, creating it (mode 0700, not its parents) if it does not exist.
  // FailedPrecondition if it is no directory, belongs to another user, or others may write to it.
  static absl::StatusOr<StateDirectory> Open(std::string_view path);

  // The path of a file in it.
  std::string PathOf(std::string_view file) const;

  // The content of a secret. NotFound if there is no such file; FailedPrecondition (with the
  // remedy) if it is no regular file, belongs to another user, is accessible to group or others, or
  // exceeds `max_bytes`.
  absl::StatusOr<std::string> ReadSecret(std::string_view file, size_t max_bytes) const;

  // Replaces the file's content atomically. `mode` is 0600 for secrets.
  absl::Status Write(std::string_view file, std::string_view content, mode_t mode) const;

  // As Write, but fails with AlreadyExists, and changes nothing, if the file exists.
  absl::Status Create(std::string_view file, std::string_view content, mode_t mode) const;

  const std::string& path() const { return path_; }

 private:
  explicit StateDirectory(std::string path) : path_(std::move(path)) {}
  absl::StatusOr<std::string> WriteTemporary(std::string_view file, std::string_view content,
                                             mode_t mode) const;
  absl::Status SyncDirectory() const;

  std::string path_;
};

// An exclusive advisory lock (flock) between processes and threads, held while the object lives.
class FileLock {
 public:
  // Waits until the lock is free.
  static absl::StatusOr<FileLock> Acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_STATE_DIRECTORY_H_
