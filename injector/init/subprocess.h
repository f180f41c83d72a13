// Runs one short-lived program to its end.
#ifndef WEFT_INJECTOR_INIT_SUBPROCESS_H_
#define WEFT_INJECTOR_INIT_SUBPROCESS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft {

struct ProcessResult {
  int exit_code = 0;  // 128 + signal number if a signal ended it
  std::string out;    // standard output, at most 16 MiB
  std::string err;    // standard error, at most 16 MiB
};

// Runs argv[0], found in PATH, with `input` on its standard input, and waits for it. NotFound if
// there is no such program; ResourceExhausted if it prints more than it may. Blocks; not for
// threads in a hurry.
absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& argv,
                                         std::string_view input);

// Whether PATH has a program of this name.
bool ProgramExists(std::string_view name);

}  // namespace weft

#endif  // WEFT_INJECTOR_INIT_SUBPROCESS_H_
