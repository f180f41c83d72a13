// Bytes on their way through: one contiguous block from a pool.
#ifndef WEFT_SIDECAR_IO_BUFFER_H_
#define WEFT_SIDECAR_IO_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace weft::io {

// A queue of bytes with a bounded capacity: appended at the back, consumed from the front. It holds
// memory only while it holds bytes (after Release()), so an idle connection costs none. Blocks come
// from free lists of the thread; a buffer stays on its thread. Views are valid until the next
// change.
class Buffer {
 public:
  // Room for one TLS record of the largest size with its header and tag.
  static constexpr size_t kBlockBytes = 16 * 1024 + 512;

  Buffer() = default;
  Buffer(Buffer&& other) noexcept { Swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~Buffer() { Free(); }

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  size_t capacity() const { return capacity_; }

  std::span<const uint8_t> bytes() const { return {data_ + begin_, size()}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_) + begin_, size()}; }

  // Room for at least `want` more bytes, moving or growing as needed.
  std::span<uint8_t> Room(size_t want);
  // The first `n` bytes of Room() were filled.
  void Commit(size_t n) { end_ += n; }

  void Append(std::span<const uint8_t> bytes);
  void Append(std::string_view text);

  void Consume(size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void Clear() { begin_ = end_ = 0; }

  // Gives the memory back if there are no bytes in it.
  void Release() {
    if (empty()) Free();
  }

 private:
  void Free();
  void Swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }

  uint8_t* data_ = nullptr;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_BUFFER_H_
