#include "base/kubernetes/cancellation.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "absl/base/call_once.h"

namespace weft::kubernetes {

Cancellation::Cancellation() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Cancellation::~Cancellation() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Cancellation::Cancel() {
  absl::call_once(once_, [this] {
    cancelled_.Notify();
    const uint64_t one = 1;
    // Cannot fail: the counter is far from full.
    (void)!write(descriptor_, &one, sizeof(one));
  });
}

bool Cancellation::Sleep(absl::Duration duration) const {
  return !cancelled_.WaitForNotificationWithTimeout(duration);
}

}  // namespace weft::kubernetes
