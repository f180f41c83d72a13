// The mesh's objects, by kind, namespace and name.
#ifndef WEFT_CONTROL_PLANE_STORE_STORE_H_
#define WEFT_CONTROL_PLANE_STORE_STORE_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "control-plane/store/kinds.h"
#include "control-plane/store/object.h"

namespace weft::store {

// One object that really changed. `before` is null if it came, `after` is null if it went.
struct Change {
  ObjectKey key;
  ObjectPtr before;
  ObjectPtr after;
};

// Not thread-safe; its owner guards it. Objects are immutable and may be kept by anybody.
class Store {
 public:
  // Takes objects in and out and returns what that changed, in order: an object equal to the stored
  // one and the removal of one that is not there are no changes. The caller vouches that an
  // update's message is of the key's kind.
  std::vector<Change> Apply(std::vector<Update> updates);

  // The object, or nullptr; valid until the next Apply.
  template <typename T>
  const T* Find(std::string_view name_space, std::string_view name) const {
    const Objects& objects = objects_[static_cast<int>(KindOf<T>::value)];
    auto it = objects.find(Name(name_space, name));
    return it == objects.end() ? nullptr : static_cast<const T*>(it->second.get());
  }

  // Calls `visit(const T&)` for every object of the kind in `name_space` (empty: in all), sorted by
  // namespace and name.
  template <typename T, typename Visitor>
  void ForEach(std::string_view name_space, Visitor visit) const {
    const Objects& objects = objects_[static_cast<int>(KindOf<T>::value)];
    auto it = name_space.empty() ? objects.begin() : objects.lower_bound(Name(name_space, ""));
    for (; it != objects.end(); ++it) {
      if (!name_space.empty() && it->first.first != name_space) break;
      visit(static_cast<const T&>(*it->second));
    }
  }

  // How many objects of a kind there are.
  size_t Count(Kind kind) const { return objects_[static_cast<int>(kind)].size(); }

 private:
  using Name = std::pair<std::string, std::string>;
  using Objects = absl::btree_map<Name, ObjectPtr>;
  std::array<Objects, kKindCount> objects_;
};

}  // namespace weft::store

#endif  // WEFT_CONTROL_PLANE_STORE_STORE_H_
