#include "sidecar/io/buffer.h"

#include <cstring>
#include <new>
#include <vector>

namespace weft::io {
namespace {

// Enough for the blocks that are in use at one moment of a busy turn; what is beyond goes to the
// heap.
constexpr size_t kKeptBlocks = 64;

struct FreeBlocks {
  std::vector<uint8_t*> blocks;
  ~FreeBlocks() {
    for (uint8_t* block : blocks) ::operator delete(block);
  }
};

thread_local FreeBlocks free_blocks;

uint8_t* NewBlock(size_t bytes) {
  if (bytes == Buffer::kBlockBytes && !free_blocks.blocks.empty()) {
    uint8_t* block = free_blocks.blocks.back();
    free_blocks.blocks.pop_back();
    return block;
  }
  return static_cast<uint8_t*>(::operator new(bytes));
}

void DeleteBlock(uint8_t* block, size_t bytes) {
  if (bytes == Buffer::kBlockBytes && free_blocks.blocks.size() < kKeptBlocks) {
    free_blocks.blocks.push_back(block);
  } else {
    ::operator delete(block);
  }
}

}  // namespace

std::span<uint8_t> Buffer::Room(size_t want) {
  if (capacity_ - end_ < want) {
    const size_t held = size();
    if (capacity_ - held >= want) {
      std::memmove(data_, data_ + begin_, held);
    } else {
      size_t grown = capacity_ == 0 ? kBlockBytes : capacity_ * 2;
      while (grown - held < want) grown *= 2;
      uint8_t* block = NewBlock(grown);
      if (held > 0) std::memcpy(block, data_ + begin_, held);
      if (data_ != nullptr) DeleteBlock(data_, capacity_);
      data_ = block;
      capacity_ = grown;
    }
    begin_ = 0;
    end_ = held;
  }
  return {data_ + end_, capacity_ - end_};
}

void Buffer::Append(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  std::memcpy(Room(bytes.size()).data(), bytes.data(), bytes.size());
  Commit(bytes.size());
}

void Buffer::Append(std::string_view text) { Append(AsBytes(text)); }

void Buffer::Free() {
  if (data_ != nullptr) DeleteBlock(data_, capacity_);
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

}  // namespace weft::io
