#include "control-plane/source/prune.h"

#include <memory>

#include "absl/strings/match.h"
#include "base/strings.h"
#include "control-plane/source/json_text.h"
#include "control-plane/store/kinds.h"
#include "google/protobuf/descriptor.h"

namespace weft::source {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr size_t kMaxAnnotationBytes = 4096;
constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// Writes an object member by member.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_.push_back('{'); }

  // The value is to be appended after this.
  void Key(std::string_view key) {
    if (!first_) out_.push_back(',');
    first_ = false;
    out_.push_back('"');
    out_.append(key);
    out_.append("\":");
  }

  void Member(std::string_view key, std::string_view value) {
    Key(key);
    out_.append(value);
  }

  void End() { out_.push_back('}'); }

 private:
  std::string& out_;
  bool first_ = true;
};

absl::Status AppendMessage(std::string_view json, const Descriptor& message, std::string& out);

absl::Status AppendAnnotations(std::string_view json, std::string& out) {
  ObjectText object(out);
  absl::Status status =
      ForEachMember(json, [&object](std::string_view key, std::string_view value) {
        if (key != kLastApplied && value.size() <= kMaxAnnotationBytes) object.Member(key, value);
        return absl::OkStatus();
      });
  object.End();
  return status;
}

// Whether the field's values are messages of ours, in which there is something to leave out.
bool HasFieldsOfOurs(const FieldDescriptor& field) {
  return field.type() == FieldDescriptor::TYPE_MESSAGE && !field.is_map() &&
         !absl::StartsWith(field.message_type()->full_name(), "google.protobuf.");
}

absl::Status AppendField(std::string_view json, const FieldDescriptor& field, std::string& out) {
  if (field.name() == "annotations" && field.is_map() && json.starts_with('{')) {
    return AppendAnnotations(json, out);
  }
  if (HasFieldsOfOurs(field) && !field.is_repeated() && json.starts_with('{')) {
    return AppendMessage(json, *field.message_type(), out);
  }
  if (HasFieldsOfOurs(field) && field.is_repeated() && json.starts_with('[')) {
    out.push_back('[');
    bool first = true;
    absl::Status status = ForEachElement(json, [&](std::string_view element) {
      if (!first) out.push_back(',');
      first = false;
      if (element.starts_with('{')) return AppendMessage(element, *field.message_type(), out);
      out.append(element);
      return absl::OkStatus();
    });
    out.push_back(']');
    return status;
  }
  // Also what has the wrong type: it is for the parser to say so.
  out.append(json);
  return absl::OkStatus();
}

absl::Status AppendMessage(std::string_view json, const Descriptor& message, std::string& out) {
  ObjectText object(out);
  absl::Status status =
      ForEachMember(json, [&](std::string_view key, std::string_view value) -> absl::Status {
        for (int i = 0; i < message.field_count(); ++i) {
          const FieldDescriptor& field = *message.field(i);
          if (field.json_name() != key) continue;
          object.Key(key);
          return AppendField(value, field, out);
        }
        return absl::OkStatus();
      });
  object.End();
  return status;
}

bool IsWrittenForTheMesh(store::Kind kind) {
  return kind == store::Kind::kTrafficSplit || kind == store::Kind::kHttpRouteGroup ||
         kind == store::Kind::kTcpRoute || kind == store::Kind::kMeshConfig;
}

}  // namespace

absl::StatusOr<std::string> PruneObject(std::string_view json, store::Kind kind) {
  const std::unique_ptr<google::protobuf::Message> message = store::NewMessage(kind);
  const Descriptor& descriptor = *message->GetDescriptor();
  std::string out;
  absl::Status status;
  if (!IsWrittenForTheMesh(kind)) {
    status = AppendMessage(json, descriptor, out);
  } else {
    ObjectText object(out);
    status = ForEachMember(json, [&](std::string_view key, std::string_view value) {
      if (key == "apiVersion" || key == "kind" || key == "status") return absl::OkStatus();
      object.Key(key);
      if (key == "metadata") return AppendField(value, *descriptor.FindFieldByNumber(1), out);
      out.append(value);
      return absl::OkStatus();
    });
    object.End();
  }
  if (!status.ok()) return status;
  return out;
}

}  // namespace weft::source
