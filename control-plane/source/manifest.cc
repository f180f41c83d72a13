#include "control-plane/source/manifest.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "control-plane/source/object.h"

namespace weft::source {
namespace {

using google::protobuf::Value;
using weft::v1::Finding;

constexpr int kMaxListDepth = 4;

// Collects the objects of a file's documents.
class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  // Reads a document, or an item of a list. `position` is "document 2" or "document 2, items[3]".
  void Read(const Value& value, const std::string& position, int list_depth = 0) {
    if (value.kind_case() == Value::kNullValue || value.kind_case() == Value::KIND_NOT_SET) return;
    if (const auto* items = ItemsOf(value)) {
      if (list_depth == kMaxListDepth) {
        return Error(position, "", {"items", "lists are nested too deep"});
      }
      const std::string item_kind = ItemKind(value);
      for (int i = 0; i < items->values_size(); ++i) {
        const std::string at = absl::StrCat(position, ", items[", i, "]");
        Read(WithKind(items->values(i), item_kind, value), at, list_depth + 1);
      }
      return;
    }
    ParsedObject parsed = ParseObject(value);
    if (parsed.unknown_kind) {
      WEFT_LOG_DEBUG("manifest {}: {}: {} is of a kind that the mesh does not read", file_,
                     position, parsed.name);
    }
    for (const FieldError& error : parsed.errors) Error(position, parsed.name, error);
    for (const FieldError& warning : parsed.warnings) Warn(position, parsed.name, warning);
    if (parsed.update) Add(*std::move(parsed.update), position);
  }

  void Error(const std::string& position, const std::string& object, const FieldError& error) {
    Finding& finding = manifest_.errors.emplace_back();
    finding.set_severity(Finding::ERROR);
    finding.set_reason("ManifestInvalid");
    finding.set_remedy("correct the file; until then what it said before stays in force");
    Describe(position, object, error, finding);
  }

  Manifest Take() { return std::move(manifest_); }

 private:
  static const google::protobuf::ListValue* ItemsOf(const Value& value) {
    if (value.kind_case() != Value::kStructValue) return nullptr;
    const auto& fields = value.struct_value().fields();
    auto kind = fields.find("kind");
    auto items = fields.find("items");
    const bool is_list = kind != fields.end() && kind->second.string_value().ends_with("List") &&
                         items != fields.end() && items->second.kind_case() == Value::kListValue;
    return is_list ? &items->second.list_value() : nullptr;
  }

  // "Pod" for a PodList, whose items need not say what they are; nothing for a plain List.
  static std::string ItemKind(const Value& list) {
    std::string kind = list.struct_value().fields().at("kind").string_value();
    kind.resize(kind.size() - std::string_view("List").size());
    return kind;
  }

  static Value WithKind(Value item, const std::string& kind, const Value& list) {
    if (kind.empty() || item.kind_case() != Value::kStructValue) return item;
    auto& fields = *item.mutable_struct_value()->mutable_fields();
    const auto& list_fields = list.struct_value().fields();
    if (!fields.contains("kind")) fields["kind"].set_string_value(kind);
    if (!fields.contains("apiVersion") && list_fields.contains("apiVersion")) {
      fields["apiVersion"] = list_fields.at("apiVersion");
    }
    return item;
  }

  void Add(store::Update update, const std::string& position) {
    auto [it, added] = positions_.try_emplace(update.key, position);
    if (!added) {
      return Error(position, update.key.ToString(),
                   {"metadata.name", absl::StrCat("the object is in ", it->second, " already")});
    }
    manifest_.objects.push_back(std::move(update));
  }

  void Warn(const std::string& position, const std::string& object, const FieldError& warning) {
    Finding& finding = manifest_.warnings.emplace_back();
    finding.set_severity(Finding::WARNING);
    const bool version = warning.field == "apiVersion";
    finding.set_reason(version ? "VersionUnsupported" : "FieldUnknown");
    finding.set_remedy(version ? "convert the manifest to a supported version"
                               : "check the spelling of the field and its place");
    Describe(position, object, warning, finding);
  }

  void Describe(const std::string& position, const std::string& object, const FieldError& error,
                Finding& finding) const {
    finding.set_object(file_);
    finding.set_field(error.field);
    finding.set_message(
        absl::StrCat(position, object.empty() ? "" : ", ", object, ": ", error.message));
  }

  const std::string file_;
  absl::flat_hash_map<store::ObjectKey, std::string> positions_;
  Manifest manifest_;
};

}  // namespace

Manifest ParseManifest(std::string_view bytes, std::string_view file, const YamlLimits& limits) {
  Reader reader(file);
  absl::StatusOr<std::vector<Value>> documents = ParseYaml(bytes, limits);
  if (!documents.ok()) {
    reader.Error("the file cannot be parsed", "", {"", std::string(documents.status().message())});
    return reader.Take();
  }
  for (size_t i = 0; i < documents->size(); ++i) {
    reader.Read((*documents)[i], absl::StrCat("document ", i + 1));
  }
  return reader.Take();
}

}  // namespace weft::source
