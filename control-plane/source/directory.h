// Manifests in a directory as the source of the mesh's objects: "--source dir:PATH".
#ifndef WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_H_
#define WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/source/directory_watch.h"
#include "control-plane/source/file_tree.h"
#include "control-plane/source/manifest_set.h"
#include "control-plane/source/yaml.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Reads every *.yaml, *.yml and *.json below a directory and follows changes on a thread of its
// own. A file that cannot be read or parsed counts as it was before, and is a finding.
class DirectorySource {
 public:
  struct Options {
    std::string path;
    YamlLimits limits;
    // How long after a change to wait for more before reading.
    absl::Duration quiet = absl::Milliseconds(30);
    // How often to look without being told (file systems without inotify).
    absl::Duration look = absl::Seconds(30);
  };

  // Takes changes, in order; called on the thread of Start first, then on the source's own.
  using Sink = std::function<void(std::vector<store::Update>)>;

  // Reads the directory once, hands everything to `sink`, and follows it from then on. NotFound,
  // PermissionDenied, FailedPrecondition: the path is no readable directory.
  static absl::StatusOr<std::unique_ptr<DirectorySource>> Start(Options options, Sink sink);

  // Stops the thread; the sink is not called any more when this returns.
  ~DirectorySource();
  DirectorySource(const DirectorySource&) = delete;
  DirectorySource& operator=(const DirectorySource&) = delete;

  // What is wrong with the files, by path. Any thread may call it.
  std::vector<weft::v1::Finding> Findings() const;

 private:
  DirectorySource(Options options, Sink sink, std::unique_ptr<DirectoryWatch> watch);

  // Looks at the directory, reads what has changed and passes it on. An error is about the
  // directory.
  absl::Status Look();
  void ReadChangedFiles(const FileTree& tree);
  void ForgetMissingFiles(const FileTree& tree);
  void Publish(const absl::Status& status, const FileTree& tree);
  void Follow();

  const Options options_;
  const Sink sink_;
  const std::unique_ptr<DirectoryWatch> watch_;
  ManifestSet manifests_;
  std::map<std::string, FileStamp> seen_;
  bool unfinished_ = false;  // a file was left alone because it is being written
  mutable absl::Mutex mutex_;
  std::vector<weft::v1::Finding> findings_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_DIRECTORY_H_
