// The frames in which the Kubernetes API sends objects: watch events and pages of lists
// (apimachinery meta/v1 WatchEvent, ListMeta).
#ifndef WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_EVENT_H_
#define WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_EVENT_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::source {

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kError;
  std::string_view object;            // JSON, a part of the line
  std::string_view resource_version;  // of the object; empty for kError
  // A bookmark that says: everything that was there when the watch began has been sent.
  bool initial_events_end = false;
};

// Reads a line of a watch; the event points into it. InvalidArgument: it is no event.
absl::StatusOr<WatchEvent> ParseWatchEvent(std::string_view line);

// The name of an object, read from its JSON as far as it is there.
struct ObjectName {
  std::string_view name_space;
  std::string_view name;
};
ObjectName NameOf(std::string_view object);

struct ListPage {
  std::string resource_version;
  std::string continue_token;  // empty: this was the last page
};

// Calls `visit` with the JSON of every item of a list. InvalidArgument: it is no list, or has no
// resource version.
absl::StatusOr<ListPage> ParseListPage(std::string_view json,
                                       const std::function<void(std::string_view item)>& visit);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_EVENT_H_
