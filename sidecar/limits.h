// The limits that the command line sets, in one table: --help, the parsing and
// docs/reference/limits.md follow it.
#ifndef WEFT_SIDECAR_LIMITS_H_
#define WEFT_SIDECAR_LIMITS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "CLI/CLI.hpp"
#include "sidecar/flags.h"

namespace weft {

struct Limit {
  enum class Unit : uint8_t { kCount, kBytes, kDuration };

  const char* flag;
  Unit unit;
  // What it may be, both ends included; nanoseconds if it is a duration.
  uint64_t min;
  uint64_t max;
  const char* help;
  // Where it lands. The standard value is what is there before.
  uint64_t (*get)(const Flags& flags);
  void (*set)(Flags& flags, uint64_t value);
};

std::span<const Limit> Limits();

// An option for each.
void AddLimits(CLI::App& app, Flags* flags);

}  // namespace weft

#endif  // WEFT_SIDECAR_LIMITS_H_
