// Ends waits of other threads.
#ifndef WEFT_BASE_KUBERNETES_CANCELLATION_H_
#define WEFT_BASE_KUBERNETES_CANCELLATION_H_

#include "absl/base/call_once.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace weft::kubernetes {

// A flag that is raised once, from any thread, and ends every call and sleep that was given it.
class Cancellation {
 public:
  Cancellation();
  ~Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // Thread-safe; may be called again.
  void Cancel();
  bool cancelled() const { return cancelled_.HasBeenNotified(); }

  // Waits; false if it was cancelled before or meanwhile.
  bool Sleep(absl::Duration duration) const;

  // Readable for poll(2) from the moment of cancellation on.
  int descriptor() const { return descriptor_; }

 private:
  absl::once_flag once_;
  absl::Notification cancelled_;
  int descriptor_;  // eventfd; -1 if the process has no descriptor left
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_CANCELLATION_H_
