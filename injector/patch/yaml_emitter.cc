#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "injector/patch/yaml.h"

namespace weft::inject {
namespace {

// Whether the text may stand without quotes and means itself then, to readers of YAML 1.1 and 1.2.
bool IsPlain(const std::string& text) {
  if (text.empty() || text.size() > 1024 || !ResolveScalar(text).is_string()) return false;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=<.").find(text.front()) != std::string_view::npos) {
    return false;
  }
  // Numbers, dates and times of whatever version of YAML.
  if ((text.front() >= '0' && text.front() <= '9') || text.front() == '+') {
    if (text.find_first_not_of("0123456789.,:_-+eExXoObBTZ ") == std::string::npos) return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = text[i];
    if (c < 0x20 || c >= 0x7f) return false;
    if (c == ':' && text[i + 1] == ' ') return false;  // not the last: checked above
    if (c == '#' && text[i - 1] == ' ') return false;  // not the first: checked above
    if (std::string_view("[]{},").find(static_cast<char>(c)) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// Whether the text reads well, and survives, as a literal block.
bool IsBlock(const std::string& text) {
  if (text.find('\n') == std::string::npos || text.front() == '\n' || text.front() == ' ' ||
      text.front() == '\t' || text.ends_with("\n\n")) {
    return false;
  }
  return std::ranges::all_of(text, [](unsigned char c) { return c == '\n' || c >= 0x20; }) &&
         std::ranges::none_of(text, [](unsigned char c) { return c == 0x7f || c >= 0x80; }) &&
         text.find(" \n") == std::string::npos && text.back() != ' ';
}

// YAML 1.2.2 section 7.4.2: a longer key needs a "?" before it. Some room is left for escapes.
constexpr size_t kMaxSimpleKey = 1000;

class Emitter {
 public:
  std::string Take() { return std::move(out_); }

  // Writes the value after a key or a dash that stands at `indent`.
  void Value(const Json& value, size_t indent) {
    if (value.is_object() && !value.empty()) {
      absl::StrAppend(&out_, "\n");
      Object(value, indent, /*first_line_indented=*/false);
    } else if (value.is_array() && !value.empty()) {
      absl::StrAppend(&out_, "\n");
      Array(value, indent);
    } else if (value.is_string() && IsBlock(value.get_ref<const std::string&>())) {
      Block(value.get_ref<const std::string&>(), indent);
    } else {
      absl::StrAppend(&out_, " ", Scalar(value), "\n");
    }
  }

  void Object(const Json& object, size_t indent, bool first_line_indented) {
    bool first = first_line_indented;
    for (const auto& [key, value] : object.items()) {
      if (!first) out_.append(indent, ' ');
      first = false;
      const std::string name = Scalar(Json(key));
      if (name.size() > kMaxSimpleKey) {
        absl::StrAppend(&out_, "? ", name, "\n", std::string(indent, ' '));
        absl::StrAppend(&out_, ":");
      } else {
        absl::StrAppend(&out_, name, ":");
      }
      // Lists stand as far in as their key, maps two further.
      Value(value, value.is_array() ? indent : indent + 2);
    }
  }

  void Array(const Json& array, size_t indent) {
    for (const Json& item : array) {
      out_.append(indent, ' ');
      absl::StrAppend(&out_, "-");
      if (item.is_object() && !item.empty()) {
        absl::StrAppend(&out_, " ");
        Object(item, indent + 2, /*first_line_indented=*/true);
      } else {
        Value(item, indent + 2);
      }
    }
  }

  static std::string Scalar(const Json& value) {
    if (value.is_string() && IsPlain(value.get_ref<const std::string&>())) {
      return value.get<std::string>();
    }
    return Dump(value);  // JSON is YAML
  }

 private:
  void Block(const std::string& text, size_t indent) {
    absl::StrAppend(&out_, text.back() == '\n' ? " |\n" : " |-\n");
    std::string_view rest = text;
    if (rest.back() == '\n') rest.remove_suffix(1);
    for (absl::string_view line : absl::StrSplit(ToAbsl(rest), '\n')) {
      if (!line.empty()) out_.append(std::max<size_t>(indent, 2), ' ');
      absl::StrAppend(&out_, line, "\n");
    }
  }

  std::string out_;
};

}  // namespace

std::string EmitYaml(const Json& document) {
  Emitter emitter;
  if (document.is_object() && !document.empty()) {
    emitter.Object(document, 0, /*first_line_indented=*/false);
  } else if (document.is_array() && !document.empty()) {
    emitter.Array(document, 0);
  } else {
    return absl::StrCat(Emitter::Scalar(document), "\n");
  }
  return emitter.Take();
}

}  // namespace weft::inject
