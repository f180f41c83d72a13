// The manifest files below a directory, as they are right now.
#ifndef WEFT_CONTROL_PLANE_SOURCE_FILE_TREE_H_
#define WEFT_CONTROL_PLANE_SOURCE_FILE_TREE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::source {

// Two equal stamps of a path mean that the file there has not changed in between.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_ns = 0, changed_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

struct FileTree {
  std::map<std::string, FileStamp> files;  // by path
  // Directories that exist but could not be read, with the reason: what was below them is not
  // known.
  std::map<std::string, std::string> unreadable;
};

inline constexpr size_t kMaxFiles = 20'000;
inline constexpr int kMaxDirectoryDepth = 16;

// Walks `root` for *.yaml, *.yml and *.json, through symbolic links, past names that begin with a
// dot (as the versions of a mounted ConfigMap do). `enter` is called with every directory before it
// is read, and with those that linked files really are in, to be watched. NotFound or
// PermissionDenied: the root. ResourceExhausted: there are more than kMaxFiles files.
absl::StatusOr<FileTree> WalkFiles(const std::string& root,
                                   const std::function<void(const std::string&)>& enter);

// The bytes of a regular file. ResourceExhausted: there are more than `limit`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_FILE_TREE_H_
