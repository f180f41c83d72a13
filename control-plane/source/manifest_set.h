// The objects of many manifest files, as one mesh: what each file says, or last said when it was
// right.
#ifndef WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_
#define WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "control-plane/source/manifest.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Not thread-safe. What a change costs depends on the size of its file, not on that of the mesh.
class ManifestSet {
 public:
  ManifestSet() = default;
  ManifestSet(const ManifestSet&) = delete;
  ManifestSet& operator=(const ManifestSet&) = delete;

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

  // Where an object stands. `path` is a key of files_.
  struct Place {
    const std::string* path;
    size_t index;

    friend bool operator<(const Place& a, const Place& b) {
      return std::tie(*a.path, a.index) < std::tie(*b.path, b.index);
    }
  };

  // The file's objects count no more, or from now on.
  void Withdraw(const std::string& path, const File& file);
  void Offer(const std::string& path, const File& file);

  std::map<std::string, File> files_;
  // Every place of every object, the first of which counts.
  absl::flat_hash_map<store::ObjectKey, std::vector<Place>> places_;
  absl::btree_set<store::ObjectKey> contested_;  // those with several places
  absl::btree_set<store::ObjectKey> touched_;    // since TakeUpdates
  absl::flat_hash_map<store::ObjectKey, store::ObjectPtr> current_;
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_MANIFEST_SET_H_
