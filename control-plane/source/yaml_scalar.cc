#include "control-plane/source/yaml_scalar.h"

#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::source {
namespace {

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

}  // namespace

absl::StatusOr<google::protobuf::Value> ResolveScalar(std::string_view text) {
  google::protobuf::Value value;
  if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) {
    value.set_null_value(google::protobuf::NULL_VALUE);
  } else if (IsOneOf(text, {"true", "True", "TRUE"})) {
    value.set_bool_value(true);
  } else if (IsOneOf(text, {"false", "False", "FALSE"})) {
    value.set_bool_value(false);
  } else if (std::optional<double> number = ParseNumber(text)) {
    if (!std::isfinite(*number)) {
      return absl::InvalidArgumentError(absl::StrCat(ToAbsl(text), " is too large a number"));
    }
    value.set_number_value(*number);
  } else if (IsOneOf(text, {".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf",
                            "+.INF", ".nan", ".NaN", ".NAN"})) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON has no number ", ToAbsl(text), "; quote it if it is text"));
  } else {
    value.set_string_value(std::string(text));
  }
  return value;
}

}  // namespace weft::source
