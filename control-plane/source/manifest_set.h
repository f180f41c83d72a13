// The objects of many manifest files, as one mesh: what each file says, or last said when it was
// right.
#ifndef WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_
#define WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_

#include <map>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "control-plane/source/manifest.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Not thread-safe.
class ManifestSet {
 public:
  // A file was read. If it has errors, it counts as it was when it had none; a file that never was
  // right counts with the objects in it that are.
  void Put(const std::string& path, Manifest manifest);

  // A file could not be read: it counts as before, and `error` is a finding.
  void PutUnreadable(const std::string& path, std::string error);

  // A file is gone, and its objects with it.
  void Remove(const std::string& path);

  // What has changed since the last call. An object that is in several files is taken from the
  // first by path.
  std::vector<store::Update> TakeUpdates();

  // The findings of all files, in the order of their paths.
  std::vector<weft::v1::Finding> Findings() const;

 private:
  struct File {
    std::vector<store::Update> objects;
    std::vector<weft::v1::Finding> errors;
    std::vector<weft::v1::Finding> warnings;
    bool was_right = false;
  };

  std::map<std::string, File> files_;
  absl::btree_map<store::ObjectKey, store::ObjectPtr> current_;
  std::vector<weft::v1::Finding> duplicates_;
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_
