// The objects of one kind, as the API server has told of them so far.
#ifndef WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_OBJECTS_H_
#define WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_OBJECTS_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "control-plane/source/object.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Takes lists and changes in JSON and passes on what they mean for the store. An object that cannot
// be used counts as it was before, and is a finding. One thread fills it; any may ask for findings.
class KubernetesObjects {
 public:
  using Sink = std::function<void(std::vector<store::Update>)>;

  KubernetesObjects(store::Kind kind, Sink sink);

  // A list: between BeginList and EndList every object of it is Listed. EndList passes all of them
  // on at once, and drops those that are not in it any more. Without EndList nothing happens.
  // Listed and Changed are false for an object that cannot be used.
  void BeginList();
  bool Listed(std::string_view object, std::string_view api_version);
  void EndList();

  // An object came or changed.
  bool Changed(std::string_view object, std::string_view api_version);
  void Deleted(std::string_view object);
  // The kind itself is gone, with all its objects.
  void Clear();

  size_t size() const { return known_.size(); }

  // Objects that cannot be used, or mean less than they say; by name.
  std::vector<weft::v1::Finding> Findings() const;

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  using Complaints = std::map<Name, std::vector<weft::v1::Finding>>;

  // What an object's JSON comes to.
  struct Reading {
    Name name;
    store::ObjectPtr object;  // nullptr: it cannot be used
    std::vector<weft::v1::Finding> complaints;
  };
  Reading Read(std::string_view json, std::string_view api_version) const;
  Name NameIn(std::string_view json) const;
  store::Update UpdateOf(const Name& name, store::ObjectPtr object) const;

  const store::Kind kind_;
  const Sink sink_;
  std::set<Name> known_;  // what the store has of this kind

  // The list being read.
  std::vector<Reading> listed_;

  mutable absl::Mutex mutex_;
  Complaints complaints_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_OBJECTS_H_
