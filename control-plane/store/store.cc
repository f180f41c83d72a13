#include "control-plane/store/store.h"

#include "google/protobuf/util/message_differencer.h"

namespace weft::store {

std::vector<Change> Store::Apply(std::vector<Update> updates) {
  std::vector<Change> changes;
  for (Update& update : updates) {
    Objects& objects = objects_[static_cast<int>(update.key.kind)];
    Name name(update.key.name_space, update.key.name);
    auto it = objects.find(name);
    ObjectPtr before = it == objects.end() ? nullptr : it->second;
    if (update.object == nullptr) {
      if (before == nullptr) continue;
      objects.erase(it);
    } else {
      if (before != nullptr &&
          google::protobuf::util::MessageDifferencer::Equals(*before, *update.object)) {
        continue;
      }
      objects.insert_or_assign(std::move(name), update.object);
    }
    changes.push_back({std::move(update.key), std::move(before), std::move(update.object)});
  }
  return changes;
}

}  // namespace weft::store
