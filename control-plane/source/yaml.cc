#include "control-plane/source/yaml.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace weft::source {
namespace {

using google::protobuf::Value;

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

bool AllOf(std::string_view text, std::string_view alphabet) {
  return !text.empty() && text.find_first_not_of(alphabet) == std::string_view::npos;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? of YAML 1.2.2, section 10.3.2;
// whole numbers are a case of it.
bool IsDecimal(std::string_view text) {
  auto digits = [&text] {
    size_t count = 0;
    while (count < text.size() && text[count] >= '0' && text[count] <= '9') ++count;
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t before = digits();
  size_t after = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    after = digits();
  }
  if (before + after == 0) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return text.empty();
}

std::optional<double> ParseNumber(std::string_view text) {
  double number = 0;
  if (text.starts_with("0o") && AllOf(text.substr(2), "01234567") && text.size() <= 20) {
    return static_cast<double>(std::strtoull(std::string(text.substr(2)).c_str(), nullptr, 8));
  }
  if (text.starts_with("0x") && AllOf(text.substr(2), "0123456789abcdefABCDEF") &&
      text.size() <= 18) {
    return static_cast<double>(std::strtoull(std::string(text.substr(2)).c_str(), nullptr, 16));
  }
  if (IsDecimal(text) && absl::SimpleAtod(ToAbsl(text), &number)) return number;
  return std::nullopt;
}

// Turns the nodes of one document into values, counting as it goes.
class Converter {
 public:
  Converter(const YamlLimits& limits, size_t& values) : limits_(limits), values_(values) {}

  absl::Status Convert(const YAML::Node& node, size_t depth, Value& value) {
    if (++values_ > limits_.values) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.values, " values after aliases are expanded"));
    }
    if (depth > limits_.depth) {
      return absl::ResourceExhaustedError(
          absl::StrCat("nested more than ", limits_.depth, " levels deep"));
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        value.set_null_value(google::protobuf::NULL_VALUE);
        return absl::OkStatus();
      case YAML::NodeType::Scalar:
        return ConvertScalar(node, value);
      case YAML::NodeType::Sequence: {
        auto& list = *value.mutable_list_value();
        for (const YAML::Node& item : node) {
          absl::Status status = Convert(item, depth + 1, *list.add_values());
          if (!status.ok()) return status;
        }
        return absl::OkStatus();
      }
      case YAML::NodeType::Map:
        return ConvertMap(node, depth, *value.mutable_struct_value());
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status At(const YAML::Node& node, std::string_view message) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", node.Mark().line + 1, ": ", ToAbsl(message)));
  }

  static absl::Status ConvertScalar(const YAML::Node& node, Value& value) {
    const std::string& text = node.Scalar();
    const std::string& tag = node.Tag();
    // yaml-cpp gives quoted and block scalars the tag "!", plain ones "?".
    if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      value.set_string_value(text);
      return absl::OkStatus();
    }
    if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) {
      value.set_null_value(google::protobuf::NULL_VALUE);
    } else if (IsOneOf(text, {"true", "True", "TRUE"})) {
      value.set_bool_value(true);
    } else if (IsOneOf(text, {"false", "False", "FALSE"})) {
      value.set_bool_value(false);
    } else if (std::optional<double> number = ParseNumber(text)) {
      if (!std::isfinite(*number)) return At(node, absl::StrCat(text, " is too large a number"));
      value.set_number_value(*number);
    } else if (IsOneOf(text, {".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf",
                              "+.INF", ".nan", ".NaN", ".NAN"})) {
      return At(node, absl::StrCat("JSON has no number ", text, "; quote it if it is text"));
    } else {
      value.set_string_value(text);
    }
    return absl::OkStatus();
  }

  absl::Status ConvertMap(const YAML::Node& node, size_t depth, google::protobuf::Struct& map) {
    std::vector<YAML::Node> merged;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        return At(node, "the key of a map must be a string");
      }
      const std::string& key = entry.first.Scalar();
      if (key == "<<" && entry.first.Tag() != "!") {
        merged.push_back(entry.second);
        continue;
      }
      auto [it, added] = map.mutable_fields()->insert({key, Value()});
      if (!added) return At(entry.first, absl::StrCat("the key \"", key, "\" is given twice"));
      absl::Status status = Convert(entry.second, depth + 1, it->second);
      if (!status.ok()) return status;
    }
    for (const YAML::Node& source : merged) {
      absl::Status status = Merge(source, depth + 1, map);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // "<<": a map, or a list of maps; keys that are there already stay as they are.
  absl::Status Merge(const YAML::Node& source, size_t depth, google::protobuf::Struct& map) {
    if (source.IsSequence() && depth <= limits_.depth) {
      for (const YAML::Node& item : source) {
        absl::Status status = Merge(item, depth + 1, map);
        if (!status.ok()) return status;
      }
      return absl::OkStatus();
    }
    if (!source.IsMap()) return At(source, "\"<<\" must merge a map or a list of maps");
    Value value;
    absl::Status status = Convert(source, depth, value);
    if (!status.ok()) return status;
    for (auto& [key, field] : *value.mutable_struct_value()->mutable_fields()) {
      map.mutable_fields()->insert({key, std::move(field)});
    }
    return absl::OkStatus();
  }

  const YamlLimits& limits_;
  size_t& values_;
};

// The number of the document that a line (from 0) is in: how many markers stand before it.
size_t DocumentAt(std::string_view bytes, int line) {
  size_t document = 1;
  bool any_content = false;
  for (absl::string_view text : absl::StrSplit(ToAbsl(bytes), '\n')) {
    if (line-- < 0) break;
    const bool marker = absl::StartsWith(text, "---");
    if (marker && any_content) ++document;
    const absl::string_view content = absl::StripAsciiWhitespace(text);
    any_content |= marker || (!content.empty() && content.front() != '#');
  }
  return document;
}

absl::StatusOr<std::vector<Value>> Parse(std::string_view bytes, const YamlLimits& limits) {
  std::vector<YAML::Node> documents = YAML::LoadAll(std::string(bytes));
  if (documents.size() > limits.documents) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the file has ", documents.size(), " documents; ", limits.documents, " are allowed"));
  }
  std::vector<Value> values(documents.size());
  size_t count = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    absl::Status status = Converter(limits, count).Convert(documents[i], 0, values[i]);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("document ", i + 1, ": ", status.message()));
    }
  }
  return values;
}

}  // namespace

absl::StatusOr<std::vector<Value>> ParseYaml(std::string_view bytes, const YamlLimits& limits) {
  if (bytes.size() > limits.bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the file is larger than ", limits.bytes, " bytes"));
  }
  // yaml-cpp reports errors by exceptions; they end here.
  try {
    return Parse(bytes, limits);
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) return absl::InvalidArgumentError(error.msg);
    return absl::InvalidArgumentError(absl::StrCat("document ", DocumentAt(bytes, error.mark.line),
                                                   ": line ", error.mark.line + 1, ", column ",
                                                   error.mark.column + 1, ": ", error.msg));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace weft::source
