// Whatever is in a manifest file: parsing it ends, in bounded memory, with objects or errors.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "control-plane/source/manifest.h"
#include "control-plane/source/object.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  weft::source::ParseManifest(bytes, "fuzz.yaml", {.bytes = 1 << 20, .expanded_bytes = 8 << 20});
  weft::source::ParseObjectJson(bytes, "v1", "Pod");
  return 0;
}
