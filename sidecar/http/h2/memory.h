// Memory of nghttp2 and of streams that in steady state comes from free lists, not from the heap.
#ifndef WEFT_SIDECAR_HTTP_H2_MEMORY_H_
#define WEFT_SIDECAR_HTTP_H2_MEMORY_H_

#include <cstddef>
#include <vector>

#include "nghttp2/nghttp2.h"

namespace weft::http::h2 {

// nghttp2's allocations out of io::FramePool. What it gives must be freed on the thread that asked.
nghttp2_mem* PoolMemory();

// Under AddressSanitizer nothing is used again, so that it sees each life and death.
#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
inline constexpr size_t kRecycledObjects = 0;
#else
inline constexpr size_t kRecycledObjects = 1024;
#endif

// Objects of a thread that wait to be used again, with the memory that they have grown. T has
// Recycle(), which makes it like new, or returns false if it has grown too large to be kept.
template <typename T>
class Recycler {
 public:
  static T* Take() {
    std::vector<T*>& kept = list_.kept;
    if (kept.empty()) return new T;
    T* object = kept.back();
    kept.pop_back();
    return object;
  }

  static void Give(T* object) {
    if (list_.kept.size() < kRecycledObjects && object->Recycle()) {
      list_.kept.push_back(object);
    } else {
      delete object;
    }
  }

 private:
  struct List {
    std::vector<T*> kept;
    ~List() {
      for (T* object : kept) delete object;
    }
  };
  static inline thread_local List list_;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_MEMORY_H_
