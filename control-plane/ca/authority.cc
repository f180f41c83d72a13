#include "control-plane/ca/authority.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/state_store.h"

namespace weft::ca {

struct Authority::State {
  struct Listening {
    explicit Listening(Listener to_call) : listener(std::move(to_call)) {}
    absl::Mutex mu;
    bool ended ABSL_GUARDED_BY(mu) = false;
    const Listener listener;
  };

  State(Options given, std::shared_ptr<const Trust> first)
      : options(std::move(given)), trust(std::move(first)) {}

  const Options options;
  absl::Mutex installing;  // before mu
  absl::Mutex mu;
  std::shared_ptr<const Trust> trust ABSL_GUARDED_BY(mu);
  std::vector<std::weak_ptr<Listening>> listeners ABSL_GUARDED_BY(mu);
};

absl::Time RootsNotAfter(const Trust& trust) {
  absl::Time first = absl::InfiniteFuture();
  for (const x509::Certificate& root : trust.roots) first = std::min(first, root.NotAfter());
  return first;
}

std::vector<std::string> ToPemList(const std::vector<x509::Certificate>& certificates) {
  std::vector<std::string> list;
  for (const x509::Certificate& certificate : certificates) {
    absl::StatusOr<std::string> pem = certificate.ToPem();
    if (pem.ok()) {
      list.push_back(*std::move(pem));
    } else {
      WEFT_LOG_ERROR("a certificate of the CA is left out: {}", pem.status().ToString());
    }
  }
  return list;
}

absl::Status WriteRoots(const StateDirectory& state, const Trust& trust) {
  return state.Write(kRootFile, absl::StrJoin(ToPemList(trust.roots), ""), 0644);
}

Authority::Authority(Options options, std::shared_ptr<const Trust> trust)
    : state_(std::make_shared<State>(std::move(options), std::move(trust))) {}

absl::StatusOr<Authority> Authority::Open(const StateDirectory& state, Options options,
                                          absl::Time now) {
  FileStateStore store(state, std::string(kCaFile), kMaxDocumentBytes);
  absl::StatusOr<LoadedRoot> root = LoadOrCreateRoot(store, options.trust_domain, now);
  if (!root.ok()) return root.status();
  std::shared_ptr<const Trust> trust = TrustOf(root->document);
  if (absl::Status written = WriteRoots(state, *trust); !written.ok()) return written;
  return Authority(std::move(options), std::move(trust));
}

std::shared_ptr<const Trust> Authority::Current() const {
  absl::MutexLock lock(&state_->mu);
  return state_->trust;
}

void Authority::Install(std::shared_ptr<const Trust> trust) {
  absl::MutexLock one_at_a_time(&state_->installing);
  std::vector<std::shared_ptr<State::Listening>> listeners;
  {
    absl::MutexLock lock(&state_->mu);
    state_->trust = trust;
    std::erase_if(state_->listeners, [](const auto& listening) { return listening.expired(); });
    for (const auto& weak : state_->listeners) {
      if (auto listening = weak.lock()) listeners.push_back(std::move(listening));
    }
  }
  for (const auto& listening : listeners) {
    absl::MutexLock lock(&listening->mu);
    if (!listening->ended) listening->listener(*trust);
  }
}

Authority::Subscription Authority::Subscribe(Listener listener) {
  auto listening = std::make_shared<State::Listening>(std::move(listener));
  {
    absl::MutexLock lock(&state_->mu);
    state_->listeners.push_back(listening);
  }
  State::Listening* const raw = listening.get();
  // Who lets go of the subscription waits for a call that is under way.
  return {raw, [listening = std::move(listening)](State::Listening*) {
            absl::MutexLock lock(&listening->mu);
            listening->ended = true;
          }};
}

absl::StatusOr<x509::Certificate> Authority::Issue(const x509::PublicKey& subject,
                                                   const SpiffeId& identity,
                                                   const std::vector<std::string>& dns_names,
                                                   absl::Time now) const {
  return Issue(subject, identity, dns_names, now, leaf_lifetime());
}

absl::StatusOr<x509::Certificate> Authority::Issue(const x509::PublicKey& subject,
                                                   const SpiffeId& identity,
                                                   const std::vector<std::string>& dns_names,
                                                   absl::Time now, absl::Duration lifetime) const {
  const std::shared_ptr<const Trust> trust = Current();
  return x509::IssueLeaf(trust->signer, trust->signer_key, subject,
                         {.identity = identity, .dns_names = dns_names, .lifetime = lifetime}, now);
}

absl::StatusOr<Authority::Issued> Authority::IssueChain(const x509::PublicKey& subject,
                                                        const SpiffeId& identity,
                                                        const std::vector<std::string>& dns_names,
                                                        absl::Time now,
                                                        absl::Duration lifetime) const {
  // One snapshot: chain and roots go together.
  const std::shared_ptr<const Trust> trust = Current();
  absl::StatusOr<x509::Certificate> leaf =
      x509::IssueLeaf(trust->signer, trust->signer_key, subject,
                      {.identity = identity, .dns_names = dns_names, .lifetime = lifetime}, now);
  if (!leaf.ok()) return leaf.status();
  absl::StatusOr<std::string> leaf_pem = leaf->ToPem();
  if (!leaf_pem.ok()) return leaf_pem.status();
  Issued issued{*std::move(leaf), {*std::move(leaf_pem)}, ToPemList(trust->roots)};
  for (std::string& pem : ToPemList(trust->intermediates)) {
    issued.chain_pem.push_back(std::move(pem));
  }
  return issued;
}

std::vector<std::string> Authority::RootsPem() const { return ToPemList(Current()->roots); }
const std::string& Authority::trust_domain() const { return state_->options.trust_domain; }
absl::Duration Authority::leaf_lifetime() const { return state_->options.leaf_lifetime; }

}  // namespace weft::ca
