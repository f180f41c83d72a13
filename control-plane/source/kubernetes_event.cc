#include "control-plane/source/kubernetes_event.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/source/json_text.h"

namespace weft::source {
namespace {

constexpr std::string_view kInitialEventsEnd = "k8s.io/initial-events-end";

// Sets `text` to the value of a member that is a plain string.
void Read(std::string_view value, std::string_view& text) {
  text = PlainString(value).value_or(std::string_view());
}

std::optional<WatchEvent::Type> TypeOf(std::string_view name) {
  if (name == "ADDED") return WatchEvent::Type::kAdded;
  if (name == "MODIFIED") return WatchEvent::Type::kModified;
  if (name == "DELETED") return WatchEvent::Type::kDeleted;
  if (name == "BOOKMARK") return WatchEvent::Type::kBookmark;
  if (name == "ERROR") return WatchEvent::Type::kError;
  return std::nullopt;
}

// The members of an object's metadata that the frame is about.
struct Metadata {
  ObjectName name;
  std::string_view resource_version;
  std::string_view continue_token;
  bool initial_events_end = false;
};

absl::Status ReadAnnotations(std::string_view json, Metadata& metadata) {
  if (!json.starts_with('{')) return absl::OkStatus();
  return ForEachMember(json, [&metadata](std::string_view key, std::string_view value) {
    if (key == kInitialEventsEnd) metadata.initial_events_end = PlainString(value) == "true";
    return absl::OkStatus();
  });
}

absl::StatusOr<Metadata> ReadMetadata(std::string_view json) {
  Metadata metadata;
  absl::Status status = ForEachMember(json, [&](std::string_view key, std::string_view value) {
    if (key == "namespace") Read(value, metadata.name.name_space);
    if (key == "name") Read(value, metadata.name.name);
    if (key == "resourceVersion") Read(value, metadata.resource_version);
    if (key == "continue") Read(value, metadata.continue_token);
    return key == "annotations" ? ReadAnnotations(value, metadata) : absl::OkStatus();
  });
  if (!status.ok()) return status;
  return metadata;
}

absl::StatusOr<Metadata> MetadataOf(std::string_view object) {
  std::string_view json;
  absl::Status status = ForEachMember(object, [&](std::string_view key, std::string_view value) {
    if (key == "metadata") json = value;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (json.empty()) return absl::InvalidArgumentError("metadata is missing");
  return ReadMetadata(json);
}

}  // namespace

absl::StatusOr<WatchEvent> ParseWatchEvent(std::string_view line) {
  WatchEvent event;
  std::string_view type_name;
  absl::Status status = ForEachMember(line, [&](std::string_view key, std::string_view value) {
    if (key == "type") Read(value, type_name);
    if (key == "object") event.object = value;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  const std::optional<WatchEvent::Type> type = TypeOf(type_name);
  if (!type.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("type \"", ToAbsl(type_name.substr(0, 64)), "\" is none of a watch event"));
  }
  if (event.object.empty()) return absl::InvalidArgumentError("object is missing");
  event.type = *type;
  if (event.type == WatchEvent::Type::kError) return event;
  absl::StatusOr<Metadata> metadata = MetadataOf(event.object);
  if (!metadata.ok()) return metadata.status();
  if (metadata->resource_version.empty()) {
    return absl::InvalidArgumentError("metadata.resourceVersion is missing");
  }
  event.resource_version = metadata->resource_version;
  event.initial_events_end =
      event.type == WatchEvent::Type::kBookmark && metadata->initial_events_end;
  return event;
}

ObjectName NameOf(std::string_view object) {
  absl::StatusOr<Metadata> metadata = MetadataOf(object);
  return metadata.ok() ? metadata->name : ObjectName();
}

absl::StatusOr<ListPage> ParseListPage(std::string_view json,
                                       const std::function<void(std::string_view item)>& visit) {
  std::string_view metadata_json, items, kind;
  absl::Status status = ForEachMember(json, [&](std::string_view key, std::string_view value) {
    if (key == "metadata") metadata_json = value;
    if (key == "items") items = value;
    if (key == "kind") Read(value, kind);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!kind.ends_with("List") || items.empty()) {
    return absl::InvalidArgumentError("this is no list of objects");
  }
  absl::StatusOr<Metadata> metadata = ReadMetadata(metadata_json);
  if (!metadata.ok()) return metadata.status();
  if (metadata->resource_version.empty()) {
    return absl::InvalidArgumentError("metadata.resourceVersion is missing");
  }
  status = ForEachElement(items, [&visit](std::string_view item) {
    visit(item);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return ListPage{.resource_version = std::string(metadata->resource_version),
                  .continue_token = std::string(metadata->continue_token)};
}

}  // namespace weft::source
