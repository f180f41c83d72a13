// Keeps what strangers can cause from filling the log.
#ifndef WEFT_BASE_LOG_BUDGET_H_
#define WEFT_BASE_LOG_BUDGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace weft {

// So many lines in each period, and then a count of those left out with the first line of a later
// one. One thread at a time.
class LogBudget {
 public:
  LogBudget(int lines, absl::Duration period) : lines_(lines), period_(period) {}

  // A line may be written now, and this behind it: how many were left out since the last one, if
  // any were. Nothing: leave it out.
  std::optional<std::string> Take(absl::Time now) {
    if (now - begun_ >= period_) {
      begun_ = now;
      taken_ = 0;
    }
    if (taken_ >= lines_) {
      ++left_out_;
      return std::nullopt;
    }
    ++taken_;
    const uint64_t left_out = std::exchange(left_out_, 0);
    return left_out == 0 ? "" : absl::StrCat(" (", left_out, " such lines were left out)");
  }

 private:
  const int lines_;
  const absl::Duration period_;
  absl::Time begun_ = absl::InfinitePast();
  int taken_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace weft

#endif  // WEFT_BASE_LOG_BUDGET_H_
