// The types of plain scalars by YAML 1.1, the way sigs.k8s.io/yaml (kubectl, Helm) resolves them.
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"
#include "injector/patch/yaml.h"

namespace weft::inject {
namespace {

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

// Digits of the base after a prefix: "0x1f", "0b101", "0o17", "017".
std::optional<uint64_t> ParseInteger(std::string_view digits) {
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    base = 16;
    digits.remove_prefix(2);
  } else if (digits.starts_with("0b") || digits.starts_with("0B")) {
    base = 2;
    digits.remove_prefix(2);
  } else if (digits.starts_with("0o") || digits.starts_with("0O")) {
    base = 8;
    digits.remove_prefix(2);
  } else if (digits.size() > 1 && digits[0] == '0') {
    base = 8;
    digits.remove_prefix(1);
  }
  if (digits.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : 99;
    if (digit >= base) return std::nullopt;
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool IsFloat(std::string_view text) {
  const auto digits = [&text] {
    size_t count = 0;
    while (count < text.size() && text[count] >= '0' && text[count] <= '9') ++count;
    text.remove_prefix(count);
    return count;
  };
  const size_t whole = digits();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return digits() > 0 && text.empty();
}

}  // namespace

Json ResolveScalar(std::string_view text) {
  if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (IsOneOf(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    return true;
  }
  if (IsOneOf(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    return false;
  }
  const char first = text[0];
  if (first != '-' && first != '+' && first != '.' && (first < '0' || first > '9')) {
    return std::string(text);
  }
  std::string plain = absl::StrReplaceAll(ToAbsl(text), {{"_", ""}});
  const bool negative = plain.starts_with('-');
  const std::string magnitude = plain.substr(negative || plain.starts_with('+') ? 1 : 0);
  if (std::optional<uint64_t> integer = ParseInteger(magnitude)) {
    if (!negative) return *integer;
    if (*integer <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return -static_cast<int64_t>(*integer);
    }
  }
  double number = 0;
  if (IsFloat(magnitude) && absl::SimpleAtod(plain, &number) && std::isfinite(number)) {
    return number;
  }
  return std::string(text);  // "1.2.3", "10.0.0.1", "2026-01-31", "-"
}

}  // namespace weft::inject
