// A signing certificate that the user supplies: an intermediate of an authority elsewhere, which
// renews it (cert-manager, for example).
#ifndef WEFT_CONTROL_PLANE_CA_SUPPLIED_SIGNER_H_
#define WEFT_CONTROL_PLANE_CA_SUPPLIED_SIGNER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/state_directory.h"

namespace weft::ca {

// The three parts as a kubernetes.io/tls Secret of cert-manager has them. Secret.
struct SuppliedPem {
  std::string chain;  // tls.crt: the signing certificate, then what is between it and the root
  std::string key;    // tls.key, unencrypted
  std::string roots;  // ca.crt
};

// What can be signed with it. FailedPrecondition names the part and what is wrong with it: no CA,
// expired, another's key, a weak one, or certificates that it signs would not be accepted (path
// length, name constraints, key usage, an incomplete chain).
absl::StatusOr<Trust> CheckSupplied(const SuppliedPem& pem, std::string_view trust_domain,
                                    absl::Time now);

// Where the parts come from. NotFound, FailedPrecondition or Unavailable.
class SuppliedSource {
 public:
  virtual ~SuppliedSource() = default;
  virtual absl::StatusOr<SuppliedPem> Read() = 0;
  virtual std::string Name() const = 0;  // "Secret weft-system/mesh-issuer"
};

class SuppliedFiles final : public SuppliedSource {
 public:
  SuppliedFiles(std::string chain, std::string key, std::string roots)
      : chain_(std::move(chain)), key_(std::move(key)), roots_(std::move(roots)) {}
  absl::StatusOr<SuppliedPem> Read() override;
  std::string Name() const override { return chain_; }

 private:
  const std::string chain_, key_, roots_;
};

// Keeps an authority in step with the source. A renewal below a root that is trusted already counts
// at once; below another root, that is announced first and the old one trusted until its
// certificates have expired. This overlap lives in the process: a restart ends it.
class SuppliedKeeper {
 public:
  struct Options {
    Authority::Options authority = {};
    // How long a new root is known before it is relied on.
    absl::Duration settle = absl::Seconds(30);
    // Whether those who should know the roots do, as far as can be known.
    std::function<bool()> all_acknowledged = [] { return true; };
  };

  // Errors as of the source and of CheckSupplied: there is nothing else to go on with.
  static absl::StatusOr<std::unique_ptr<SuppliedKeeper>> Open(
      std::unique_ptr<SuppliedSource> source, StateDirectory state, Options options,
      absl::Time now);

  const Authority& authority() const { return authority_; }
  std::string Name() const { return source_->Name(); }

  // Looks at the source, and at what is due. What cannot be used leaves what there is in force. To
  // be called by one thread, about once a second.
  absl::Status Refresh(absl::Time now);

  // What is wrong with the source now. OK: nothing.
  absl::Status problem() const;

 private:
  struct Leaving {
    x509::Certificate root;
    absl::Time until;
  };

  SuppliedKeeper(std::unique_ptr<SuppliedSource> source, StateDirectory state, Options options,
                 Authority authority, Trust supplied);
  absl::Status Take(const absl::StatusOr<SuppliedPem>& pem, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Consider(Trust supplied, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes the supplied one sign, with the roots that are leaving beside its own.
  absl::Status SignWith(Trust supplied, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Install(Trust trust);

  const std::unique_ptr<SuppliedSource> source_;
  const StateDirectory state_;
  const Options options_;
  Authority authority_;
  mutable absl::Mutex mu_;
  Trust supplied_ ABSL_GUARDED_BY(mu_);          // as last taken from the source
  bool announced_ ABSL_GUARDED_BY(mu_) = false;  // `supplied_` does not sign yet
  absl::Time sign_at_ ABSL_GUARDED_BY(mu_);
  std::vector<Leaving> leaving_ ABSL_GUARDED_BY(mu_);
  absl::Status problem_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_SUPPLIED_SIGNER_H_
