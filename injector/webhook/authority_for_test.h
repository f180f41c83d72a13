// A certificate authority for tests, in this process.
#ifndef WEFT_INJECTOR_WEBHOOK_AUTHORITY_FOR_TEST_H_
#define WEFT_INJECTOR_WEBHOOK_AUTHORITY_FOR_TEST_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "injector/webhook/certificate.h"
#include "injector/webhook/signer.h"

namespace weft::webhook {

// Signs whatever it is asked to, for "localhost" and "weft-injector.weft-system.svc". Thread-safe.
class AuthorityForTest final : public Signer {
 public:
  AuthorityForTest();

  absl::StatusOr<Signed> Sign(const std::string& request_pem) override;

  // A new root, which signs from now on.
  void Rotate();
  // The root that signs now, in PEM.
  std::string Root() const;
  // From now on; unavailable: Sign fails.
  void SetLifetime(absl::Duration lifetime);
  void SetAvailable(bool available) { available_ = available; }
  int signatures() const { return signatures_; }

 private:
  mutable absl::Mutex mutex_;
  KeyPtr key_ ABSL_GUARDED_BY(mutex_);
  CertificatePtr root_ ABSL_GUARDED_BY(mutex_);
  absl::Duration lifetime_ ABSL_GUARDED_BY(mutex_) = absl::Hours(1);
  std::atomic<bool> available_ = true;
  std::atomic<int> signatures_ = 0;
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_AUTHORITY_FOR_TEST_H_
