#include "injector/patch/quantity.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/strings.h"

namespace weft::inject {
namespace {

constexpr std::pair<std::string_view, double> kSuffixes[] = {
    {"", 1},        {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},
    {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
    {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60},
};

bool IsDecimal(std::string_view text) {
  bool digit = false, point = false;
  for (const char c : text) {
    if (c == '.') {
      if (point) return false;
      point = true;
    } else if (c >= '0' && c <= '9') {
      digit = true;
    } else {
      return false;
    }
  }
  return digit;
}

}  // namespace

std::optional<double> ParseQuantity(std::string_view text) {
  if (text.size() > 64) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, end);
  const std::string_view suffix = text.substr(end);
  double value = 0;
  if (!IsDecimal(number) || !absl::SimpleAtod(ToAbsl(number), &value)) return std::nullopt;
  for (const auto& [name, factor] : kSuffixes) {
    if (suffix == name) return value * factor;
  }
  // A decimal exponent: "2e3", "2E-1".
  int exponent = 0;
  if ((suffix[0] != 'e' && suffix[0] != 'E') ||
      !absl::SimpleAtoi(ToAbsl(suffix.substr(1)), &exponent) || std::abs(exponent) > 18) {
    return std::nullopt;
  }
  return value * std::pow(10, exponent);
}

}  // namespace weft::inject
