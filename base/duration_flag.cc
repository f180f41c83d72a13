#include "base/duration_flag.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {

void AddDuration(CLI::App& app, const std::string& name, absl::Duration standard,
                 DurationRange range, const std::string& help,
                 std::function<void(absl::Duration)> set) {
  app.add_option_function<std::string>(
         name,
         [name, range, set = std::move(set)](const std::string& text) {
           absl::Duration parsed;
           if (!absl::ParseDuration(text, &parsed) || parsed < range.min || parsed > range.max) {
             throw CLI::ValidationError(name, absl::StrCat("\"", text, "\" is not a duration from ",
                                                           absl::FormatDuration(range.min), " to ",
                                                           absl::FormatDuration(range.max)));
           }
           set(parsed);
         },
         help)
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(standard));
}

}  // namespace weft
