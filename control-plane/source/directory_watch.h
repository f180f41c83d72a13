// Learns from the kernel (inotify) that something in a set of directories has changed.
#ifndef WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_WATCH_H_
#define WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_WATCH_H_

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace weft::source {

// Not thread-safe, except for Stop.
class DirectoryWatch {
 public:
  // Unavailable: the kernel gives no (more) inotify instances.
  static absl::StatusOr<std::unique_ptr<DirectoryWatch>> Create();
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  // Between Begin and End: Add every directory to watch from now on; the others are forgotten. A
  // directory that cannot be watched is not an error, since the caller looks by itself from time to
  // time.
  void Begin();
  void Add(const std::string& directory);
  void End();

  // Waits for changes, and then until none has come for `quiet` (but not for more than ten times
  // that). Returns true if something has changed, false after `timeout` or when stopped.
  bool Wait(absl::Duration timeout, absl::Duration quiet);

  // Whether somebody has written to the file and not closed it yet; false after a second without a
  // write, since writers may keep files open.
  bool IsBeingWritten(const std::string& path) const;

  // Ends Wait, now and ever after. Any thread may call it.
  void Stop();
  bool stopped() const;

 private:
  DirectoryWatch(int inotify, int stop);

  // Waits for events or Stop.
  bool Poll(absl::Duration timeout);
  void Drain();

  const int inotify_;
  const int stop_;
  absl::flat_hash_map<int, std::string> directories_;  // by watch descriptor
  absl::flat_hash_set<int> added_;                     // since Begin
  absl::flat_hash_map<std::string, absl::Time> being_written_;
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_WATCH_H_
