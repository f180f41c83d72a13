#include "control-plane/source/object.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/store/kinds.h"
#include "google/protobuf/util/json_util.h"

namespace weft::source {
namespace {

using google::protobuf::Value;
using store::Kind;

const Value* Find(const Value& value, const std::string& name) {
  if (value.kind_case() != Value::kStructValue) return nullptr;
  auto it = value.struct_value().fields().find(name);
  return it == value.struct_value().fields().end() ? nullptr : &it->second;
}

std::string Text(const Value* value) {
  return value != nullptr && value->kind_case() == Value::kStringValue ? value->string_value() : "";
}

// An RFC 1123 subdomain, as Kubernetes wants names: lower-case letters, digits, '-' and '.'.
bool IsName(std::string_view name) {
  auto alphanumeric = [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c);
  };
  return !name.empty() && name.size() <= 253 &&
         alphanumeric(static_cast<unsigned char>(name.front())) &&
         alphanumeric(static_cast<unsigned char>(name.back())) &&
         std::ranges::all_of(name, [&](char c) {
           return alphanumeric(static_cast<unsigned char>(c)) || c == '-' || c == '.';
         });
}

// Kinds that users write for the mesh: there an unknown field is a slip of the pen. Kubernetes' own
// kinds have many fields that are none of the mesh's business.
bool IsMeshKind(Kind kind) {
  return kind == Kind::kTrafficSplit || kind == Kind::kHttpRouteGroup || kind == Kind::kTcpRoute ||
         kind == Kind::kMeshConfig;
}

void WarnOfUnknownFields(const Shape& shape, std::vector<FieldError>& warnings) {
  for (const std::string& field : shape.unknown) {
    if (field == "apiVersion" || field == "kind" || field == "status" ||
        field.starts_with("metadata.")) {
      continue;
    }
    warnings.push_back({field, "there is no such field; it has no effect"});
  }
}

// Protobuf says "(spec.x): invalid value ..."; what is in the parentheses is the field.
FieldError FromProtobuf(std::string_view message) {
  if (message.starts_with('(')) {
    if (size_t end = message.find("): "); end != std::string_view::npos) {
      return {std::string(message.substr(1, end - 1)), std::string(message.substr(end + 3))};
    }
  }
  return {"", std::string(message)};
}

void Name(Kind kind, const k8s::ObjectMeta& meta, ParsedObject& parsed) {
  const std::string name_space = !store::IsNamespaced(kind)  ? ""
                                 : meta.namespace_().empty() ? "default"
                                                             : meta.namespace_();
  store::ObjectKey key{kind, name_space, meta.name()};
  if (!IsName(meta.name())) {
    parsed.errors.push_back(
        {"metadata.name", meta.name().empty()
                              ? "is missing"
                              : absl::StrCat("\"", meta.name(),
                                             "\" is no name: use lower-case letters, digits, "
                                             "\"-\" and \".\"")});
  }
  if (!name_space.empty() && (!IsName(name_space) || name_space.find('.') != std::string::npos)) {
    parsed.errors.push_back(
        {"metadata.namespace", absl::StrCat("\"", name_space, "\" is no name of a namespace")});
  }
  parsed.update = store::Update{std::move(key), nullptr};
}

void Parse(const Value& json, Kind kind, ParsedObject& parsed) {
  std::unique_ptr<google::protobuf::Message> message = store::NewMessage(kind);
  Shape shape = CompareShape(json, *message->GetDescriptor());
  parsed.errors = std::move(shape.errors);
  if (!parsed.errors.empty()) return;
  if (IsMeshKind(kind)) WarnOfUnknownFields(shape, parsed.warnings);

  std::string text;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  auto status = google::protobuf::util::MessageToJsonString(json, &text);
  if (status.ok()) {
    status = google::protobuf::util::JsonStringToMessage(text, message.get(), options);
  }
  if (!status.ok()) {
    parsed.errors.push_back(FromProtobuf(std::string(status.message())));
    return;
  }
  Name(kind, store::MetaOf(*message), parsed);
  if (!parsed.errors.empty()) {
    parsed.update.reset();
    return;
  }
  // The object's own idea of its namespace is the key's from here on.
  store::MutableMetaOf(*message).set_namespace_(parsed.update->key.name_space);
  parsed.update->object = std::move(message);
}

}  // namespace

ParsedObject ParseObject(const Value& json) {
  ParsedObject parsed;
  if (json.kind_case() != Value::kStructValue) {
    parsed.errors.push_back({"", "expected an object with apiVersion and kind"});
    return parsed;
  }
  const std::string api_version = Text(Find(json, "apiVersion"));
  const std::string kind = Text(Find(json, "kind"));
  const Value* metadata = Find(json, "metadata");
  const std::string name_space = metadata == nullptr ? "" : Text(Find(*metadata, "namespace"));
  const std::string name = metadata == nullptr ? "" : Text(Find(*metadata, "name"));
  parsed.name = absl::StrCat(kind, " ", name_space, name_space.empty() ? "" : "/", name);
  for (const auto& [field, text] : {std::pair("apiVersion", &api_version), {"kind", &kind}}) {
    if (text->empty()) parsed.errors.push_back({field, "is missing or no string"});
  }
  if (!parsed.errors.empty()) return parsed;

  const store::KindLookup lookup = store::LookUpKind(api_version, kind);
  switch (lookup.support) {
    case store::Support::kUnknownKind:
      parsed.unknown_kind = true;
      break;
    case store::Support::kUnknownVersion:
      parsed.warnings.push_back(
          {"apiVersion", absl::StrCat("\"", api_version, "\" of ", kind,
                                      " is not supported, the object has no effect; use ",
                                      ToAbsl(store::SupportedVersions(lookup.kind)))});
      break;
    case store::Support::kYes:
      Parse(json, lookup.kind, parsed);
      if (parsed.update) parsed.name = parsed.update->key.ToString();
      break;
  }
  return parsed;
}

ParsedObject ParseObjectJson(std::string_view json, std::string_view api_version,
                             std::string_view kind) {
  Value value;
  auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &value);
  if (!status.ok()) {
    ParsedObject parsed;
    parsed.errors.push_back({"", absl::StrCat("no JSON: ", std::string(status.message()))});
    return parsed;
  }
  if (value.kind_case() == Value::kStructValue) {
    auto& fields = *value.mutable_struct_value()->mutable_fields();
    for (const auto& [name, text] : {std::pair("apiVersion", api_version), {"kind", kind}}) {
      if (!text.empty() && Text(Find(value, name)).empty()) {
        fields[name].set_string_value(std::string(text));
      }
    }
  }
  return ParseObject(value);
}

}  // namespace weft::source
