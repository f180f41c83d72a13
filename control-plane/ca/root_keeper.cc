#include "control-plane/ca/root_keeper.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::ca {
namespace {

constexpr int kMaxAttempts = 5;

// The remedy is the same whatever is wrong: the document is the mesh's trust, so only its owner may
// decide.
absl::Status Unusable(const StateStore& store, absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(store.Name(), ": ", what,
                   ". Restore it from a backup; or, if the mesh may start over with a new root ",
                   "(every sidecar must then join again), move it away and start again"));
}

}  // namespace

absl::StatusOr<LoadedRoot> LoadRoot(StateStore& store, absl::Time now) {
  absl::StatusOr<StateStore::Versioned> stored = store.Read();
  if (!stored.ok()) return stored.status();
  absl::StatusOr<RootDocument> document = RootDocument::Parse(stored->content, now);
  if (!document.ok()) return Unusable(store, document.status().message());
  return LoadedRoot{*std::move(document), std::move(stored->version)};
}

absl::StatusOr<LoadedRoot> LoadOrCreateRoot(StateStore& store, std::string_view trust_domain,
                                            absl::Time now) {
  absl::StatusOr<LoadedRoot> loaded = LoadRoot(store, now);
  if (!absl::IsNotFound(loaded.status())) return loaded;
  absl::StatusOr<Root> root = NewRoot(trust_domain, now);
  if (!root.ok()) return root.status();
  absl::StatusOr<std::string> text = RootDocument{*std::move(root), std::nullopt, {}}.ToText();
  if (!text.ok()) return text.status();
  const absl::Status created = store.Create(*text);
  // Another process may have been first; its root counts then.
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  if (created.ok()) WEFT_LOG_INFO("created a new mesh root in {}", store.Name());
  return LoadRoot(store, now);
}

std::shared_ptr<const Trust> TrustOf(const RootDocument& document) {
  return std::make_shared<const Trust>(Trust{.signer = document.signing.certificate,
                                             .signer_key = *document.signing.key,
                                             .intermediates = {},
                                             .roots = document.Trusted()});
}

RootKeeper::RootKeeper(std::unique_ptr<StateStore> store, StateDirectory state, Authority authority,
                       LoadedRoot loaded)
    : store_(std::move(store)),
      state_(std::move(state)),
      authority_(std::move(authority)),
      version_(std::move(loaded.version)),
      document_(std::move(loaded.document)) {}

absl::StatusOr<std::unique_ptr<RootKeeper>> RootKeeper::Open(std::unique_ptr<StateStore> store,
                                                             StateDirectory state,
                                                             Authority::Options options,
                                                             absl::Time now) {
  absl::StatusOr<LoadedRoot> loaded = LoadOrCreateRoot(*store, options.trust_domain, now);
  if (!loaded.ok()) return loaded.status();
  std::shared_ptr<const Trust> trust = TrustOf(loaded->document);
  if (absl::Status written = WriteRoots(state, *trust); !written.ok()) return written;
  return absl::WrapUnique(new RootKeeper(std::move(store), std::move(state),
                                         Authority(std::move(options), std::move(trust)),
                                         *std::move(loaded)));
}

RootDocument RootKeeper::document() const {
  absl::MutexLock lock(&document_mu_);
  return document_;
}

absl::Status RootKeeper::Take(LoadedRoot loaded) {
  std::shared_ptr<const Trust> trust = TrustOf(loaded.document);
  // The file first: the gRPC server must accept whatever peers are told to trust.
  if (absl::Status written = WriteRoots(state_, *trust); !written.ok()) return written;
  version_ = std::move(loaded.version);
  {
    absl::MutexLock lock(&document_mu_);
    document_ = std::move(loaded.document);
  }
  authority_.Install(std::move(trust));
  return absl::OkStatus();
}

absl::Status RootKeeper::RefreshLocked(absl::Time now) {
  absl::StatusOr<LoadedRoot> loaded = LoadRoot(*store_, now);
  if (absl::IsNotFound(loaded.status())) {
    return Unusable(*store_, "it has vanished; the control plane goes on with what it has read");
  }
  if (!loaded.ok()) return loaded.status();
  if (loaded->version == version_) return absl::OkStatus();
  WEFT_LOG_INFO("{} has changed: phase {} generation {}", store_->Name(),
                RotationRecord::Phase_Name(loaded->document.record.phase()),
                loaded->document.record.generation());
  return Take(*std::move(loaded));
}

absl::Status RootKeeper::Refresh(absl::Time now) {
  absl::MutexLock lock(&mu_);
  return RefreshLocked(now);
}

absl::Status RootKeeper::Change(const std::function<absl::Status(RootDocument&)>& change,
                                absl::Time now) {
  absl::MutexLock lock(&mu_);
  absl::Status status;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    if (status = RefreshLocked(now); !status.ok()) return status;
    RootDocument changed = document();
    if (status = change(changed); !status.ok()) return status;
    changed.record.set_generation(changed.record.generation() + 1);
    absl::StatusOr<std::string> text = changed.ToText();
    if (!text.ok()) return text.status();
    status = store_->Replace(*text, version_);
    if (status.ok()) return RefreshLocked(now);
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

}  // namespace weft::ca
