#include "control-plane/ca/runtime.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "control-plane/ca/bundle_acknowledgements.h"
#include "control-plane/ca/operator_token.h"
#include "control-plane/ca/state_store.h"

namespace weft::ca {
namespace {

// How often the state is looked at: changes of other replicas arrive within so long.
constexpr absl::Duration kRound = absl::Seconds(1);

v1::TrustBundle BundleOf(const std::string& trust_domain, const Trust& trust) {
  v1::TrustBundle bundle;
  bundle.set_trust_domain(trust_domain);
  for (std::string& root : ToPemList(trust.roots)) bundle.add_roots_pem(std::move(root));
  return bundle;
}

}  // namespace

Runtime::Runtime(StateDirectory state, Options options, Metrics& metrics)
    : state_(state), options_(std::move(options)), metrics_(metrics), tokens_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Open(StateDirectory state, Options options,
                                                       Metrics& metrics, absl::Time now) {
  auto runtime = absl::WrapUnique(new Runtime(state, std::move(options), metrics));
  absl::StatusOr<std::unique_ptr<RootKeeper>> keeper = RootKeeper::Open(
      std::make_unique<FileStateStore>(state, std::string(kCaFile), kMaxDocumentBytes), state,
      runtime->options_.authority, now);
  if (!keeper.ok()) return keeper.status();
  runtime->keeper_ = *std::move(keeper);
  runtime->authority_ = std::make_unique<Authority>(runtime->keeper_->authority());
  absl::StatusOr<std::string> operator_token = ReadOrCreateOperatorToken(state);
  if (!operator_token.ok()) return operator_token.status();
  runtime->operator_token_ = *std::move(operator_token);
  return runtime;
}

Runtime::~Runtime() { Stop(); }

absl::Status Runtime::Start(compile::Compiler& compiler, const discovery::Hub& hub) {
  absl::StatusOr<std::unique_ptr<ServingCertificate>> serving =
      ServingCertificate::Start(state_, *authority_, options_.name_space);
  if (!serving.ok()) return serving.status();
  serving_ = *std::move(serving);
  // Nothing is installed before the thread below runs: no change can be missed.
  const std::string trust_domain = authority_->trust_domain();
  bundle_ = authority_->Subscribe([&compiler, trust_domain](const Trust& trust) {
    compiler.SetTrustBundle(BundleOf(trust_domain, trust));
  });
  compiler.SetTrustBundle(BundleOf(trust_domain, *authority_->Current()));
  rotation_ = std::make_unique<RotationDriver>(
      *keeper_, RotationDriver::Options{.rotation = options_.rotation,
                                        .replica = options_.replica,
                                        .is_leader = options_.is_leader,
                                        .count_sidecars = [this, &hub](ReplicaReport& report) {
                                          CountAcknowledgements(hub, *authority_, report);
                                        }});
  certificates_ = std::make_unique<CertificateService>(
      *authority_, tokens_,
      [&compiler](std::string_view workload) { return compiler.IdentityOf(workload); }, metrics_);
  authority_service_ = std::make_unique<AuthorityService>(
      *authority_, AuthorityService::Source{.name = keeper_->Name(), .rotation = rotation_.get()},
      operator_token_);
  rotation_->Tick(absl::Now());
  Measure();
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Runtime::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  bundle_.reset();
  serving_.reset();
}

std::vector<grpc::Service*> Runtime::Services() {
  return {certificates_.get(), authority_service_.get()};
}

void Runtime::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), kRound)) return;
    }
    rotation_->Tick(absl::Now());
    Measure();
  }
}

void Runtime::Measure() const {
  const std::shared_ptr<const Trust> trust = authority_->Current();
  metrics_.CertificateNotAfter("root").Set(
      absl::ToDoubleSeconds(RootsNotAfter(*trust) - absl::UnixEpoch()));
  metrics_.CertificateNotAfter("signer").Set(
      absl::ToDoubleSeconds(trust->signer.NotAfter() - absl::UnixEpoch()));
  const RotationRecord::Phase phase = keeper_->document().record.phase();
  for (const auto& [value, name] : {std::pair{RotationRecord::STABLE, "stable"},
                                    {RotationRecord::ANNOUNCED, "announced"},
                                    {RotationRecord::CONFIRMED, "confirmed"},
                                    {RotationRecord::SIGNING, "signing"}}) {
    metrics_.RotationPhase(name).Set(phase == value ? 1 : 0);
  }
}

}  // namespace weft::ca
