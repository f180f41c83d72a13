#include "sidecar/io/frame_pool.h"

#include <array>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
#define WEFT_POOL_IS_HEAP 1
#else
#define WEFT_POOL_IS_HEAP 0
#endif

namespace weft::io {
namespace {

constexpr size_t kStep = 64;
constexpr size_t kLargest = 8192;
constexpr size_t kClasses = kLargest / kStep;
// A burst must not pin memory for ever: what a class holds beyond this goes back to the heap.
constexpr size_t kKeptBytesPerClass = 256 * 1024;

struct FreeBlock {
  FreeBlock* next;
};

struct Lists {
  std::array<FreeBlock*, kClasses> head{};
  std::array<size_t, kClasses> kept{};

  ~Lists() {
    for (FreeBlock* block : head) {
      while (block != nullptr) {
        FreeBlock* next = block->next;
        ::operator delete(block);
        block = next;
      }
    }
  }
};

thread_local Lists lists;

constexpr size_t ClassOf(size_t bytes) { return bytes == 0 ? 0 : (bytes - 1) / kStep; }

}  // namespace

void* FramePool::Allocate(size_t bytes) {
  if (WEFT_POOL_IS_HEAP || bytes > kLargest) return ::operator new(bytes);
  const size_t index = ClassOf(bytes);
  FreeBlock* block = lists.head[index];
  if (block == nullptr) return ::operator new((index + 1) * kStep);
  lists.head[index] = block->next;
  --lists.kept[index];
  return block;
}

void FramePool::Free(void* block, size_t bytes) noexcept {
  const size_t index = ClassOf(bytes);
  if (WEFT_POOL_IS_HEAP || bytes > kLargest ||
      lists.kept[index] * (index + 1) * kStep >= kKeptBytesPerClass) {
    ::operator delete(block);
    return;
  }
  auto* free_block = static_cast<FreeBlock*>(block);
  free_block->next = lists.head[index];
  lists.head[index] = free_block;
  ++lists.kept[index];
}

}  // namespace weft::io
