// A file descriptor with an owner.
#ifndef WEFT_SIDECAR_REPLACE_DESCRIPTOR_H_
#define WEFT_SIDECAR_REPLACE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace weft::replace {

// Closes the descriptor when destroyed.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace weft::replace

#endif  // WEFT_SIDECAR_REPLACE_DESCRIPTOR_H_
