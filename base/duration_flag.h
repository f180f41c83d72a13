// Command-line options whose value is a duration.
#ifndef WEFT_BASE_DURATION_FLAG_H_
#define WEFT_BASE_DURATION_FLAG_H_

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/time/time.h"

namespace weft {

// What an option takes, both ends included.
struct DurationRange {
  absl::Duration min;
  absl::Duration max;
};

// Adds the option `name` ("--leaf-lifetime"), whose value is written as "1h", "90s" or "20ms" and
// handed to `set`; `standard` is what --help shows as the default. A mistake ends the parsing with
// an error that names the option and the range.
void AddDuration(CLI::App& app, const std::string& name, absl::Duration standard,
                 DurationRange range, const std::string& help,
                 std::function<void(absl::Duration)> set);

}  // namespace weft

#endif  // WEFT_BASE_DURATION_FLAG_H_
