#include "tools/meshctl/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"
#include "weft/v1/discovery.pb.h"
#include "yaml-cpp/yaml.h"

namespace weft::meshctl {
namespace {

constexpr size_t kGap = 3;

bool TerminalTakesColour() {
  static const bool takes = [] {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
           terminal != nullptr && std::string_view(terminal) != "dumb";
  }();
  return takes;
}

std::string_view Escape(Colour colour) {
  switch (colour) {
    case Colour::kRed:
      return "\033[31m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kBold:
      return "\033[1m";
    case Colour::kPlain:
      break;
  }
  return "";
}

// What YAML reads back as the same string without quotes.
bool IsPlainYaml(const std::string& text) {
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no",
                                                "on",   "off",   "y",    "n",   "~"};
  if (text.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(text.front()))) return false;
  const std::string lower = absl::AsciiStrToLower(text);
  if (std::ranges::find(kWords, lower) != std::end(kWords)) return false;
  return std::ranges::all_of(text, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("._/-").find(c) != std::string_view::npos;
  });
}

void EmitYaml(const YAML::Node& node, YAML::Emitter& out) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& entry : node) {
        out << YAML::Key << entry.first.Scalar() << YAML::Value;
        EmitYaml(entry.second, out);
      }
      out << YAML::EndMap;
      break;
    case YAML::NodeType::Sequence:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const YAML::Node& item : node) EmitYaml(item, out);
      out << YAML::EndSeq;
      break;
    case YAML::NodeType::Scalar:
      // "!" marks what stood in quotes: a string, whatever it looks like.
      if (node.Tag() == "!" && node.Scalar().find('\n') != std::string::npos) {
        out << YAML::Literal << node.Scalar();
      } else if (node.Tag() == "!" && !IsPlainYaml(node.Scalar())) {
        out << YAML::DoubleQuoted << node.Scalar();
      } else {
        out << node.Scalar();
      }
      break;
    default:
      out << YAML::Null;
  }
}

}  // namespace

void Table::Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

std::string Table::ToString(int indent) const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max({widths[i], row[i].size(), size_t{1}});
    }
  }
  std::string text;
  for (const std::vector<std::string>& row : rows_) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string& cell = row[i].empty() ? "-" : row[i];
      line += cell;
      if (i + 1 < row.size()) line.append(widths[i] + kGap - cell.size(), ' ');
    }
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string Paint(Colour colour, std::string_view text) {
  if (!TerminalTakesColour() || colour == Colour::kPlain) return std::string(text);
  return absl::StrCat(ToAbsl(Escape(colour)), ToAbsl(text), "\033[0m");
}

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return absl::InternalError("the answer cannot be printed as JSON");
  }
  return json;
}

absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message) {
  absl::StatusOr<std::string> json = ToJson(message);
  if (!json.ok()) return json;
  try {
    YAML::Emitter out;
    EmitYaml(YAML::Load(*json), out);
    return absl::StrCat(out.c_str(), "\n");
  } catch (const YAML::Exception& error) {
    return absl::InternalError(
        absl::StrCat("the answer cannot be printed as YAML: ", error.what()));
  }
}

absl::Status PrintMessage(const google::protobuf::Message& message, Format format) {
  const absl::StatusOr<std::string> text =
      format == Format::kYaml ? ToYaml(message) : ToJson(message);
  if (text.ok()) std::cout << *text;
  return text.status();
}

std::string Age(absl::Duration age) {
  int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(age));
  const int64_t days = seconds / 86400;
  const int64_t hours = seconds / 3600 % 24;
  const int64_t minutes = seconds / 60 % 60;
  seconds %= 60;
  if (days > 0) return absl::StrCat(days, "d", hours, "h");
  if (hours > 0) return absl::StrCat(hours, "h", minutes, "m");
  if (minutes > 0) return absl::StrCat(minutes, "m", seconds, "s");
  return absl::StrCat(seconds, "s");
}

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixNanos(google::protobuf::util::TimeUtil::TimestampToNanoseconds(timestamp));
}

std::string ProtocolName(int protocol) {
  const std::string& name = v1::Protocol_Name(protocol);
  constexpr std::string_view kPrefix = "PROTOCOL_";
  return name.size() > kPrefix.size() ? name.substr(kPrefix.size()) : name;
}

std::string MtlsModeName(int mode) {
  const std::string& name = v1::MtlsMode_Name(mode);
  constexpr std::string_view kPrefix = "MTLS_MODE_";
  return name.size() > kPrefix.size() ? absl::AsciiStrToLower(name.substr(kPrefix.size())) : name;
}

}  // namespace weft::meshctl
