#include "control-plane/compile/weight.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace weft::compile {
namespace {

constexpr double kMaxWeight = 1e9;

std::optional<uint64_t> ToThousandths(double weight) {
  if (!std::isfinite(weight) || weight < 0 || weight > kMaxWeight) return std::nullopt;
  // Decimal fractions are not exact in binary; what is a thousandth but for that stays one.
  const double thousandths = weight * 1000;
  const double nearest = std::round(thousandths);
  if (std::abs(thousandths - nearest) < 1e-6) return static_cast<uint64_t>(nearest);
  return static_cast<uint64_t>(std::ceil(thousandths));
}

std::optional<uint64_t> ParseQuantity(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return std::nullopt;
  double scale = 1;
  switch (text.back()) {
    case 'm':
      scale = 1e-3;
      break;
    case 'k':
      scale = 1e3;
      break;
    case 'M':
      scale = 1e6;
      break;
    case 'G':
      scale = 1e9;
      break;
    default:
      break;
  }
  if (scale != 1) text.remove_suffix(1);
  // SimpleAtod also reads "inf", "0x10" and "1e3", which are no quantities of ours.
  if (text.empty() || text.find_first_not_of("0123456789.") != absl::string_view::npos) {
    return std::nullopt;
  }
  double number = 0;
  if (!absl::SimpleAtod(text, &number)) return std::nullopt;
  return ToThousandths(number * scale);
}

}  // namespace

std::optional<uint64_t> WeightInThousandths(const google::protobuf::Value& weight) {
  switch (weight.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      return ToThousandths(weight.number_value());
    case google::protobuf::Value::kStringValue:
      return ParseQuantity(weight.string_value());
    default:
      return std::nullopt;
  }
}

}  // namespace weft::compile
