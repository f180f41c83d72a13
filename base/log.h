// Logging for every program: one line per event on standard error, with time, level and key=value
// pairs in the text. Callers must not put secrets (tokens, keys, header values, bodies) into a
// line.
#ifndef WEFT_BASE_LOG_H_
#define WEFT_BASE_LOG_H_

#include <string_view>

#include "absl/status/status.h"
#include "spdlog/spdlog.h"

namespace weft {

// Sets the process's logger up; call once, first thing in main. `level` is one of trace, debug,
// info, warn, error, off; anything else is an InvalidArgument that lists them.
absl::Status InitLogging(std::string_view level);

}  // namespace weft

#define WEFT_LOG_DEBUG(...) ::spdlog::debug(__VA_ARGS__)
#define WEFT_LOG_INFO(...) ::spdlog::info(__VA_ARGS__)
#define WEFT_LOG_WARN(...) ::spdlog::warn(__VA_ARGS__)
#define WEFT_LOG_ERROR(...) ::spdlog::error(__VA_ARGS__)

#endif  // WEFT_BASE_LOG_H_
