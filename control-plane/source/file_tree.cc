#include "control-plane/source/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::source {
namespace {

bool IsManifest(std::string_view name) {
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp StampOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

class Walk {
 public:
  explicit Walk(const std::function<void(const std::string&)>& enter) : enter_(enter) {}

  absl::Status Directory(const std::string& path, int depth) {
    enter_(path);
    std::unique_ptr<DIR, CloseDirectory> directory(opendir(path.c_str()));
    if (directory == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    std::vector<std::string> names;
    while (const dirent* entry = readdir(directory.get())) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    directory.reset();
    std::ranges::sort(names);
    for (const std::string& name : names) {
      absl::Status status = Entry(absl::StrCat(path, "/", name), name, depth);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  FileTree Take() { return std::move(tree_); }

 private:
  absl::Status Entry(const std::string& path, const std::string& name, int depth) {
    struct stat own, target;
    if (lstat(path.c_str(), &own) != 0 || stat(path.c_str(), &target) != 0) {
      return absl::OkStatus();  // gone in the meantime, or a link to nothing
    }
    if (S_ISDIR(target.st_mode)) return Subdirectory(path, target, depth);
    if (!S_ISREG(target.st_mode) || !IsManifest(name)) return absl::OkStatus();
    if (tree_.files.size() == kMaxFiles) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are more than ", kMaxFiles, " manifest files"));
    }
    tree_.files.emplace(path, StampOf(target));
    if (S_ISLNK(own.st_mode)) {
      char real[PATH_MAX];
      if (realpath(path.c_str(), real) != nullptr) {
        const std::string_view resolved = real;
        enter_(std::string(resolved.substr(0, resolved.rfind('/'))));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Subdirectory(const std::string& path, const struct stat& status, int depth) {
    const std::pair<uint64_t, uint64_t> identity(status.st_dev, status.st_ino);
    // A link to a directory above would be walked forever.
    if (std::ranges::find(above_, identity) != above_.end()) return absl::OkStatus();
    if (depth == kMaxDirectoryDepth) {
      tree_.unreadable.emplace(
          path, absl::StrCat("directories are nested more than ", kMaxDirectoryDepth, " deep"));
      return absl::OkStatus();
    }
    above_.push_back(identity);
    absl::Status result = Directory(path, depth + 1);
    above_.pop_back();
    if (absl::IsResourceExhausted(result)) return result;
    if (!result.ok() && !absl::IsNotFound(result)) {
      tree_.unreadable.emplace(path, std::string(result.message()));
    }
    return absl::OkStatus();
  }

  const std::function<void(const std::string&)>& enter_;
  std::vector<std::pair<uint64_t, uint64_t>> above_;
  FileTree tree_;
};

}  // namespace

absl::StatusOr<FileTree> WalkFiles(const std::string& root,
                                   const std::function<void(const std::string&)>& enter) {
  Walk walk(enter);
  absl::Status status = walk.Directory(root, 0);
  if (!status.ok()) return status;
  return walk.Take();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  // Non-blocking, in case a pipe has taken the file's place since it was looked at.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::string bytes;
  char buffer[64 << 10];
  absl::Status status;
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (count <= 0) break;
    bytes.append(buffer, static_cast<size_t>(count));
    if (bytes.size() > limit) {
      status =
          absl::ResourceExhaustedError(absl::StrCat("the file is larger than ", limit, " bytes"));
      break;
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace weft::source
