// The webhook's serving certificate over time: got from the CA, renewed, exchanged under running
// connections.
#ifndef WEFT_INJECTOR_WEBHOOK_IDENTITY_H_
#define WEFT_INJECTOR_WEBHOOK_IDENTITY_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/backoff.h"
#include "base/kubernetes/cancellation.h"
#include "injector/webhook/certificate.h"
#include "injector/webhook/metrics.h"
#include "injector/webhook/signer.h"

namespace weft::webhook {

// Renews at two thirds of a certificate's life, and at once when the mesh's roots change, since the
// old root will go. Thread-safe.
class ServingIdentity {
 public:
  struct Options {
    std::string trust_bundle_file;  // the mesh's roots, as the control plane distributes them
    std::string dns_name;           // by which the API server dials us; empty: any
    absl::Duration look_again = absl::Seconds(2);  // how often the roots' file is read
    absl::Duration first_backoff = absl::Milliseconds(500);
    absl::Duration max_backoff = absl::Seconds(15);
  };

  // Begins at once, on a thread of its own. The references must outlive this.
  ServingIdentity(Options options, Signer& signer, Metrics& metrics);
  ~ServingIdentity();
  ServingIdentity(const ServingIdentity&) = delete;
  ServingIdentity& operator=(const ServingIdentity&) = delete;

  // What handshakes present; nullptr before the first.
  std::shared_ptr<const ServingCertificate> Current() const;

  // Whether there is one and it has not ended.
  bool Usable() const;

  // The roots that may vouch for us, now or soon: sorted, in canonical PEM. Empty before the first
  // certificate.
  std::vector<std::string> Roots() const;

 private:
  void Run();
  // Reads the roots' file; whether it says something new.
  bool ReadRoots();
  absl::Status Renew();

  const Options options_;
  Signer& signer_;
  Metrics& metrics_;
  kubernetes::Cancellation stop_;
  std::string bundle_;  // the file as last read; of the thread
  mutable absl::Mutex mutex_;
  std::shared_ptr<const ServingCertificate> current_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> file_roots_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> signed_roots_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_IDENTITY_H_
