#include "sidecar/http/h2/memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "sidecar/io/frame_pool.h"

namespace weft::http::h2 {
namespace {

// FramePool wants to be told the size of what is freed; nghttp2 does not know it, so it stands in
// front.
struct alignas(std::max_align_t) Block {
  size_t bytes;  // of the whole block
};

Block* BlockOf(void* memory) { return static_cast<Block*>(memory) - 1; }

void* Allocate(size_t bytes, void* /*user_data*/) {
  if (bytes > std::numeric_limits<uint32_t>::max()) return nullptr;
  const size_t whole = sizeof(Block) + bytes;
  auto* block = static_cast<Block*>(io::FramePool::Allocate(whole));
  block->bytes = whole;
  return block + 1;
}

void Free(void* memory, void* /*user_data*/) {
  if (memory == nullptr) return;
  Block* block = BlockOf(memory);
  io::FramePool::Free(block, block->bytes);
}

void* AllocateZeroed(size_t count, size_t bytes, void* user_data) {
  size_t product;
  if (__builtin_mul_overflow(count, bytes, &product)) return nullptr;
  void* memory = Allocate(product, user_data);
  if (memory != nullptr) std::memset(memory, 0, product);
  return memory;
}

void* Reallocate(void* memory, size_t bytes, void* user_data) {
  if (memory == nullptr) return Allocate(bytes, user_data);
  const size_t held = BlockOf(memory)->bytes - sizeof(Block);
  void* moved = Allocate(bytes, user_data);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, memory, std::min(held, bytes));
  Free(memory, user_data);
  return moved;
}

}  // namespace

nghttp2_mem* PoolMemory() {
  static nghttp2_mem memory = {nullptr, &Allocate, &Free, &AllocateZeroed, &Reallocate};
  return &memory;
}

}  // namespace weft::http::h2
