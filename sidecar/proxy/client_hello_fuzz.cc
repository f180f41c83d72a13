// Any first bytes of a connection: a verdict, once it is there, stays as more bytes arrive, and it
// is there when kMaxOpeningBytes are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sidecar/proxy/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using weft::proxy::Classify;
  using weft::proxy::Opening;
  const std::span<const uint8_t> bytes(data, size);
  Opening verdict = Opening::kNeedMore;
  // Every byte of the beginning by itself, then larger pieces.
  for (size_t n = 0; n <= size; n += n < 64 ? 1 : 1 + n / 16) {
    const Opening now = Classify(bytes.first(n));
    if (verdict != Opening::kNeedMore && now != verdict) std::abort();
    verdict = now;
  }
  const Opening whole = Classify(bytes);
  if (verdict != Opening::kNeedMore && whole != verdict) std::abort();
  if (size >= weft::proxy::kMaxOpeningBytes && whole == Opening::kNeedMore) std::abort();
  return 0;
}
