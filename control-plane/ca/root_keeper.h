// Keeps an authority in step with the root document that several control planes share.
#ifndef WEFT_CONTROL_PLANE_CA_ROOT_KEEPER_H_
#define WEFT_CONTROL_PLANE_CA_ROOT_KEEPER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/root_document.h"
#include "control-plane/ca/state_directory.h"
#include "control-plane/ca/state_store.h"

namespace weft::ca {

struct LoadedRoot {
  RootDocument document;
  std::string version;  // of the store
};

// Reads the store's document. NotFound if there is none; FailedPrecondition, with the remedy, if it
// cannot be used.
absl::StatusOr<LoadedRoot> LoadRoot(StateStore& store, absl::Time now);

// The same, creating the document with a new root if there is none. Of several that create at once
// all load the winner's. What cannot be used is never replaced.
absl::StatusOr<LoadedRoot> LoadOrCreateRoot(StateStore& store, std::string_view trust_domain,
                                            absl::Time now);

std::shared_ptr<const Trust> TrustOf(const RootDocument& document);

// Thread-safe.
class RootKeeper {
 public:
  // Loads or creates the document and writes root.pem into `state`. Errors as of LoadOrCreateRoot.
  static absl::StatusOr<std::unique_ptr<RootKeeper>> Open(std::unique_ptr<StateStore> store,
                                                          StateDirectory state,
                                                          Authority::Options options,
                                                          absl::Time now);

  const Authority& authority() const { return authority_; }

  // What was read last.
  RootDocument document() const;
  std::string Name() const { return store_->Name(); }

  // Reads the document again; if it has changed, writes root.pem and installs it, in this order. On
  // an error (the store is away, the document became unusable) what there is goes on.
  absl::Status Refresh(absl::Time now);

  // Lets `change` alter the document as it is now in the store, with its generation one up, and
  // writes and installs the result. `change` may refuse with an error, which is returned; it is
  // called again if somebody else was faster.
  absl::Status Change(const std::function<absl::Status(RootDocument&)>& change, absl::Time now);

 private:
  RootKeeper(std::unique_ptr<StateStore> store, StateDirectory state, Authority authority,
             LoadedRoot loaded);

  absl::Status RefreshLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Take(LoadedRoot loaded) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::unique_ptr<StateStore> store_;
  const StateDirectory state_;
  Authority authority_;
  absl::Mutex mu_;  // held while the store is asked
  std::string version_ ABSL_GUARDED_BY(mu_);
  mutable absl::Mutex document_mu_;  // after mu_
  RootDocument document_ ABSL_GUARDED_BY(document_mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_ROOT_KEEPER_H_
