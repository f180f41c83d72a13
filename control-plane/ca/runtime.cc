#include "control-plane/ca/runtime.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "control-plane/ca/bundle_acknowledgements.h"
#include "control-plane/ca/kubernetes/replica_board.h"
#include "control-plane/ca/kubernetes/secret_state_store.h"
#include "control-plane/ca/kubernetes/supplied_secret.h"
#include "control-plane/ca/kubernetes/token_reviewer.h"
#include "control-plane/ca/operator_token.h"
#include "control-plane/ca/state_store.h"

namespace weft::ca {
namespace {

// How often the state is looked at: changes of other replicas arrive within so long.
constexpr absl::Duration kRound = absl::Seconds(1);

// The API server is waited for so long at the start.
constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr std::string_view kInjector = "weft-injector";

double ToSeconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

std::string RootsText(const Authority& authority) {
  return absl::StrJoin(authority.RootsPem(), "");
}

absl::Status CheckSuppliedOptions(const Runtime::Options& options) {
  const Supplied& supplied = options.supplied;
  const bool some =
      !supplied.certificate.empty() || !supplied.key.empty() || !supplied.roots.empty();
  const bool all =
      !supplied.certificate.empty() && !supplied.key.empty() && !supplied.roots.empty();
  if (some && !all) {
    return absl::InvalidArgumentError(
        "--ca-certificate, --ca-key and --ca-roots are needed together");
  }
  if (some && !supplied.secret.empty()) {
    return absl::InvalidArgumentError("--ca-secret and --ca-certificate exclude one another");
  }
  if (!supplied.secret.empty() && options.client == nullptr) {
    return absl::InvalidArgumentError(
        "--ca-secret needs --source kubernetes; a directory goes with --ca-certificate, --ca-key "
        "and --ca-roots");
  }
  return absl::OkStatus();
}

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
  if (absl::Status valid = CheckSuppliedOptions(options); !valid.ok()) return valid;
  auto runtime = absl::WrapUnique(new Runtime(std::move(state), std::move(options), metrics));
  const bool supplied =
      !runtime->options_.supplied.certificate.empty() || !runtime->options_.supplied.secret.empty();
  const auto open = [&]() -> absl::Status {
    const absl::Status opened = supplied ? runtime->OpenSupplied(now) : runtime->OpenRoot(now);
    return opened.ok() ? runtime->OpenOperatorToken() : opened;
  };
  // Nodes and their network come up in any order.
  absl::Status opened = open();
  for (const absl::Time end = absl::Now() + kPatience; IsAway(opened) && absl::Now() < end;) {
    WEFT_LOG_WARN("trying again: {}", opened.ToString());
    absl::SleepFor(kRound);
    opened = open();
  }
  if (!opened.ok()) return opened;
  return runtime;
}

absl::Status Runtime::OpenRoot(absl::Time now) {
  std::unique_ptr<StateStore> store;
  if (options_.client != nullptr) {
    store = std::make_unique<SecretStateStore>(DataObjects(CallOf(*options_.client, cancellation_)),
                                               options_.name_space, kCaSecret, kCaFile);
  } else {
    store = std::make_unique<FileStateStore>(state_, std::string(kCaFile), kMaxDocumentBytes);
  }
  absl::StatusOr<std::unique_ptr<RootKeeper>> keeper =
      RootKeeper::Open(std::move(store), state_, options_.authority, now);
  if (!keeper.ok()) return keeper.status();
  keeper_ = *std::move(keeper);
  authority_ = std::make_unique<Authority>(keeper_->authority());
  return absl::OkStatus();
}

absl::Status Runtime::OpenSupplied(absl::Time now) {
  const Supplied& given = options_.supplied;
  std::unique_ptr<SuppliedSource> source =
      std::make_unique<SuppliedFiles>(given.certificate, given.key, given.roots);
  if (!given.secret.empty()) {
    absl::StatusOr<std::unique_ptr<SuppliedSecret>> secret = SuppliedSecret::Create(
        DataObjects(CallOf(*options_.client, cancellation_)), options_.name_space, given.secret);
    if (!secret.ok()) return secret.status();
    source = *std::move(secret);
  }
  absl::StatusOr<std::unique_ptr<SuppliedKeeper>> keeper =
      SuppliedKeeper::Open(std::move(source), state_,
                           {.authority = options_.authority,
                            .settle = 2 * options_.rotation.settle,
                            .all_acknowledged = [this] { return AllAcknowledged(); }},
                           now);
  if (!keeper.ok()) return keeper.status();
  supplied_ = *std::move(keeper);
  authority_ = std::make_unique<Authority>(supplied_->authority());
  return absl::OkStatus();
}

absl::Status Runtime::OpenOperatorToken() {
  absl::StatusOr<std::string> token =
      options_.client == nullptr
          ? ReadOrCreateOperatorToken(state_)
          : ReadOrCreateOperatorSecret(DataObjects(CallOf(*options_.client, cancellation_)),
                                       options_.name_space);
  if (!token.ok()) return token.status();
  operator_token_ = *std::move(token);
  return absl::OkStatus();
}

Runtime::~Runtime() { Stop(); }

bool Runtime::AllAcknowledged() const {
  if (hub_ == nullptr) return true;
  ReplicaReport report;
  CountAcknowledgements(*hub_, *authority_, report);
  return report.acknowledged == report.sidecars;
}

void Runtime::StartRotation() {
  RotationDriver::Options driver{
      .rotation = options_.rotation,
      .replica = options_.replica,
      .is_leader = options_.is_leader,
      .count_sidecars =
          [this](ReplicaReport& report) { CountAcknowledgements(*hub_, *authority_, report); },
      .before_signing = nullptr,
      .board = nullptr};
  if (options_.client != nullptr) {
    board_ = std::make_unique<ConfigMapBoard>(DataObjects(CallOf(*options_.client, cancellation_)),
                                              options_.name_space);
    driver.board = board_.get();
    driver.before_signing = [this] {
      return options_.is_leader() ? publisher_->Missing(RootsText(*authority_)) : "";
    };
  }
  rotation_ = std::make_unique<RotationDriver>(*keeper_, std::move(driver));
}

absl::Status Runtime::Start(compile::Compiler& compiler, const discovery::Hub& hub) {
  compiler_ = &compiler;
  hub_ = &hub;
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
  if (options_.client != nullptr) {
    publisher_ = std::make_unique<RootPublisher>(
        DataObjects(CallOf(*options_.client, cancellation_)),
        [this] {
          std::vector<std::string> namespaces = compiler_->MeshNamespaces();
          if (std::ranges::find(namespaces, options_.name_space) == namespaces.end()) {
            namespaces.push_back(options_.name_space);
          }
          return namespaces;
        },
        RootPublisher::Options());
    reviewer_ = std::make_unique<KubernetesTokenReviewer>(CallOf(*options_.client, cancellation_));
  }
  CertificateService::Options issuing{
      .reviewer = reviewer_.get(),
      .uid_of = [&compiler](std::string_view workload) { return compiler.UidOf(workload); },
      .named_identity = SpiffeId{trust_domain, options_.name_space, std::string(kInjector)},
      .dns_names = options_.injector_dns_names};
  if (issuing.dns_names.empty()) {
    const std::string service = absl::StrCat(ToAbsl(kInjector), ".", options_.name_space, ".svc");
    issuing.dns_names = {service, absl::StrCat(service, ".cluster.local")};
  }
  certificates_ = std::make_unique<CertificateService>(
      *authority_, tokens_,
      [&compiler](std::string_view workload) { return compiler.IdentityOf(workload); }, metrics_,
      std::move(issuing));
  AuthorityService::Source source{};
  if (keeper_ != nullptr) {
    StartRotation();
    source = {.name = keeper_->Name(), .rotation = rotation_.get(), .problem = nullptr};
  } else {
    source = {.name = supplied_->Name(), .rotation = nullptr, .problem = [this] {
                return supplied_->problem();
              }};
  }
  authority_service_ =
      std::make_unique<AuthorityService>(*authority_, std::move(source), operator_token_);
  started_ = true;
  Round(absl::Now());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Runtime::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  cancellation_.Cancel();
  if (thread_.joinable()) thread_.join();
  reviewer_.reset();
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
    Round(absl::Now());
  }
}

void Runtime::Round(absl::Time now) {
  // First: a root does not sign before it is known to be published.
  Publish(now);
  if (rotation_ != nullptr) rotation_->Tick(now);
  if (supplied_ != nullptr) supplied_->Refresh(now).IgnoreError();  // kept as its problem
  Measure(now);
}

void Runtime::Publish(absl::Time now) {
  if (publisher_ == nullptr) return;
  const bool leader = options_.is_leader();
  if (leader && !published_) publisher_->Forget();
  published_ = leader;
  if (leader) publisher_->Round(RootsText(*authority_), now);
}

absl::Status Runtime::Problem(absl::Time now) const {
  if (supplied_ != nullptr) return supplied_->problem();
  return started_ && rotation_ != nullptr ? rotation_->Status(now).problem : absl::OkStatus();
}

std::vector<v1::Finding> Runtime::Findings() const {
  const absl::Status problem = Problem(absl::Now());
  if (problem.ok()) return {};
  v1::Finding finding;
  finding.set_severity(v1::Finding::ERROR);
  finding.set_object(supplied_ != nullptr ? supplied_->Name() : keeper_->Name());
  finding.set_reason("CertificateAuthorityUnusable");
  finding.set_message(std::string(problem.message()));
  finding.set_remedy("the last good state goes on; \"meshctl ca status\" shows until when");
  return {finding};
}

void Runtime::Measure(absl::Time now) const {
  const std::shared_ptr<const Trust> trust = authority_->Current();
  metrics_.CertificateNotAfter("root").Set(ToSeconds(RootsNotAfter(*trust)));
  metrics_.CertificateNotAfter("signer").Set(ToSeconds(trust->signer.NotAfter()));
  metrics_.ca_usable.Set(Problem(now).ok() ? 1 : 0);
  const RotationRecord::Phase phase =
      keeper_ == nullptr ? RotationRecord::STABLE : keeper_->document().record.phase();
  for (const auto& [value, name] : {std::pair{RotationRecord::STABLE, "stable"},
                                    {RotationRecord::ANNOUNCED, "announced"},
                                    {RotationRecord::CONFIRMED, "confirmed"},
                                    {RotationRecord::SIGNING, "signing"}}) {
    metrics_.RotationPhase(name).Set(phase == value ? 1 : 0);
  }
}

}  // namespace weft::ca
