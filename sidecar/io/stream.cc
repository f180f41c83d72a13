#include "sidecar/io/stream.h"

namespace weft::io {

Task<bool> WriteAll(Stream& stream, std::span<const uint8_t> bytes, Nanos deadline) {
  while (!bytes.empty()) {
    const IoResult result = stream.Write(bytes);
    if (result.ok()) {
      bytes = bytes.subspan(result.bytes);
    } else if (!result.would_block() || co_await Wait(stream.writable(), deadline) == nullptr) {
      co_return false;
    }
  }
  co_return co_await FlushAll(stream, deadline);
}

Task<bool> FlushAll(Stream& stream, Nanos deadline) {
  for (;;) {
    const IoResult result = stream.Flush();
    if (result.ok()) co_return true;
    if (!result.would_block() || co_await Wait(stream.writable(), deadline) == nullptr) {
      co_return false;
    }
  }
}

}  // namespace weft::io
