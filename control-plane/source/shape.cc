#include "control-plane/source/shape.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/util/time_util.h"

namespace weft::source {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Struct;
using google::protobuf::Value;

constexpr size_t kMaxErrors = 16;
constexpr size_t kMaxUnknown = 256;

std::string Described(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return absl::StrCat("the number ", value.number_value());
    case Value::kStringValue:
      return absl::StrCat("the string \"", value.string_value().substr(0, 60), "\"");
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kStructValue:
      return "a map";
    case Value::kListValue:
      return "a list";
    default:
      return "null";
  }
}

bool IsNull(const Value& value) {
  return value.kind_case() == Value::kNullValue || value.kind_case() == Value::KIND_NOT_SET;
}

bool FitsInteger(double number, double least, double most) {
  return std::floor(number) == number && number >= least && number <= most;
}

class Comparison {
 public:
  void Message(const Value& value, const Descriptor& message, const std::string& path) {
    if (value.kind_case() != Value::kStructValue) return Wrong(path, "a map", value);
    for (const auto& [name, field_value] : value.struct_value().fields()) {
      const std::string field_path = path.empty() ? name : absl::StrCat(path, ".", name);
      const FieldDescriptor* field = FieldNamed(message, name);
      if (field == nullptr) {
        if (shape_.unknown.size() < kMaxUnknown) shape_.unknown.push_back(field_path);
      } else if (!IsNull(field_value)) {
        Field(field_value, *field, field_path);
      }
    }
  }

  Shape Take() { return std::move(shape_); }

 private:
  // JSON objects may also spell fields as the .proto file does; Kubernetes' do not.
  static const FieldDescriptor* FieldNamed(const Descriptor& message, const std::string& name) {
    for (int i = 0; i < message.field_count(); ++i) {
      if (message.field(i)->json_name() == name) return message.field(i);
    }
    return nullptr;
  }

  void Field(const Value& value, const FieldDescriptor& field, const std::string& path) {
    if (field.is_map()) {
      if (value.kind_case() != Value::kStructValue) return Wrong(path, "a map", value);
      for (const auto& [key, item] : value.struct_value().fields()) {
        Single(item, *field.message_type()->map_value(), absl::StrCat(path, "[", key, "]"));
      }
    } else if (field.is_repeated()) {
      if (value.kind_case() != Value::kListValue) return Wrong(path, "a list", value);
      for (int i = 0; i < value.list_value().values_size(); ++i) {
        Single(value.list_value().values(i), field, absl::StrCat(path, "[", i, "]"));
      }
    } else {
      Single(value, field, path);
    }
  }

  void Single(const Value& value, const FieldDescriptor& field, const std::string& path) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (value.kind_case() != Value::kStringValue) Wrong(path, "a string", value);
        return;
      case FieldDescriptor::CPPTYPE_BOOL:
        if (value.kind_case() != Value::kBoolValue) Wrong(path, "true or false", value);
        return;
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: {
        // A double holds whole numbers exactly up to 2^53.
        const double most = field.cpp_type() == FieldDescriptor::CPPTYPE_INT32
                                ? std::numeric_limits<int32_t>::max()
                                : 9007199254740992.0;
        if (value.kind_case() != Value::kNumberValue ||
            !FitsInteger(value.number_value(), -most, most)) {
          Wrong(path, "a whole number", value);
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (field.message_type()->full_name() == "google.protobuf.Value") return;
        if (field.message_type()->full_name() == "google.protobuf.Timestamp") {
          google::protobuf::Timestamp time;
          if (value.kind_case() != Value::kStringValue ||
              !google::protobuf::util::TimeUtil::FromString(value.string_value(), &time)) {
            Wrong(path, "a time such as 2026-01-31T12:00:00Z", value);
          }
          return;
        }
        return Message(value, *field.message_type(), path);
      default:
        return;  // no other types are in api/k8s
    }
  }

  void Wrong(const std::string& path, std::string_view expected, const Value& value) {
    if (shape_.errors.size() == kMaxErrors) return;
    shape_.errors.push_back(
        {path, absl::StrCat("expected ", ToAbsl(expected), ", got ", Described(value))});
  }

  Shape shape_;
};

}  // namespace

Shape CompareShape(const Value& value, const Descriptor& message) {
  Comparison comparison;
  comparison.Message(value, message, "");
  return comparison.Take();
}

}  // namespace weft::source
