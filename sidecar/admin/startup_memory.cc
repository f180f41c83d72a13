#include "sidecar/admin/startup_memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

namespace weft::admin {

void ReleaseStartupMemory() {
  malloc_trim(0);
  const std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"),
                                                   &std::fclose);
  if (maps == nullptr) return;
  char line[4096];
  while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    uint64_t offset = 0;
    char access[5] = "";
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64, &begin, &end, access,
                    &offset) != 4 ||
        std::strchr(line, '/') == nullptr) {
      continue;
    }
    // Code, and the first segment of a file. Other read-only mappings may hold relocations, which
    // are nowhere but in memory.
    const bool code = std::strcmp(access, "r-xp") == 0;
    const bool constants = std::strcmp(access, "r--p") == 0 && offset == 0;
    if (code || constants) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace weft::admin
