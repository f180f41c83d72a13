#include "sidecar/http/h2/held_bytes.h"

#include <cstdint>

namespace weft::http::h2 {
namespace {

struct Held {
  size_t bytes = 0;
  size_t max = SIZE_MAX;
};
thread_local Held held;

}  // namespace

void SetMaxHeldBytes(size_t max) { held.max = max; }
bool HoldsTooMuch() { return held.bytes > held.max; }
void AddHeldBytes(size_t bytes) { held.bytes += bytes; }
void RemoveHeldBytes(size_t bytes) { held.bytes -= bytes; }

}  // namespace weft::http::h2
