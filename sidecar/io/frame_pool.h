// Memory for objects that come and go with every request: coroutine frames, streams, HPACK tables.
#ifndef WEFT_SIDECAR_IO_FRAME_POOL_H_
#define WEFT_SIDECAR_IO_FRAME_POOL_H_

#include <cstddef>

namespace weft::io {

// Free lists by size, one set per thread: a worker in steady state allocates nothing from the heap.
// A block must be freed on the thread that allocated it. Blocks above 8 KiB go straight to the
// heap. Under AddressSanitizer every block does, so that it sees each life and death.
class FramePool {
 public:
  static void* Allocate(size_t bytes);
  static void Free(void* block, size_t bytes) noexcept;
};

// Mixed into a class, makes `new` and `delete` of it use the pool.
class Pooled {
 public:
  static void* operator new(size_t bytes) { return FramePool::Allocate(bytes); }
  static void operator delete(void* block, size_t bytes) noexcept { FramePool::Free(block, bytes); }
};

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_FRAME_POOL_H_
