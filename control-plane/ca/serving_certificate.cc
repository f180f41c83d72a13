#include "control-plane/ca/serving_certificate.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace weft::ca {
namespace {

constexpr absl::Duration kMinLifetime = absl::Minutes(1);
constexpr absl::Duration kRetry = absl::Seconds(5);
constexpr unsigned kReloadSeconds = 1;

}  // namespace

SpiffeId ControlPlaneIdentity(std::string_view trust_domain) {
  return {std::string(trust_domain), "weft-system", "weft-control-plane"};
}

std::vector<std::string> ControlPlaneDnsNames(std::string_view name_space) {
  const std::string base = absl::StrCat("weft-control-plane.", ToAbsl(name_space));
  return {"localhost", "weft-control-plane", base, absl::StrCat(base, ".svc"),
          absl::StrCat(base, ".svc.cluster.local")};
}

ServingCertificate::ServingCertificate(StateDirectory state, const Authority& authority,
                                       std::vector<std::string> dns_names)
    : state_(std::move(state)), authority_(authority), dns_names_(std::move(dns_names)) {}

absl::StatusOr<std::unique_ptr<ServingCertificate>> ServingCertificate::Start(
    StateDirectory state, const Authority& authority, std::string_view name_space) {
  auto serving = absl::WrapUnique(
      new ServingCertificate(std::move(state), authority, ControlPlaneDnsNames(name_space)));
  ServingCertificate* const self = serving.get();
  // Before the first one, so that no change in between is missed.
  serving->subscription_ = serving->authority_.Subscribe([self](const Trust& trust) {
    absl::MutexLock lock(&self->mu_);
    self->signer_changed_ = self->signer_ != trust.signer.Fingerprint();
  });
  if (absl::Status first = serving->Renew(absl::Now()); !first.ok()) return first;
  serving->thread_ = std::thread([self] { self->Run(); });
  return serving;
}

ServingCertificate::~ServingCertificate() {
  subscription_.reset();
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status ServingCertificate::Renew(absl::Time now) {
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) return key.status();
  const std::string signer = authority_.Current()->signer.Fingerprint();
  absl::StatusOr<Authority::Issued> issued =
      authority_.IssueChain(key->Public(), ControlPlaneIdentity(authority_.trust_domain()),
                            dns_names_, now, std::max(kMinLifetime, authority_.leaf_lifetime()));
  if (!issued.ok()) return issued.status();
  absl::StatusOr<std::string> key_pem = key->ToPem();
  if (!key_pem.ok()) return key_pem.status();
  if (absl::Status written = state_.Write(
          kServingFile, absl::StrCat(*key_pem, absl::StrJoin(issued->chain_pem, "")), 0600);
      !written.ok()) {
    return written;
  }
  absl::MutexLock lock(&mu_);
  not_before_ = issued->leaf.NotBefore();
  not_after_ = issued->leaf.NotAfter();
  signer_ = signer;
  signer_changed_ = authority_.Current()->signer.Fingerprint() != signer;
  return absl::OkStatus();
}

absl::Time ServingCertificate::DueTime() const {
  return not_before_ + (not_after_ - not_before_) * 2 / 3;
}

void ServingCertificate::Run() {
  absl::Time due;
  {
    absl::MutexLock lock(&mu_);
    due = DueTime();
  }
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithDeadline(absl::Condition(this, &ServingCertificate::Awake), due);
      if (stopping_) return;
      signer_changed_ = false;
    }
    const absl::Status renewed = Renew(absl::Now());
    if (!renewed.ok()) {
      WEFT_LOG_ERROR("serving certificate not renewed, trying again: {}", renewed.ToString());
      due = absl::Now() + kRetry;
      continue;
    }
    absl::MutexLock lock(&mu_);
    WEFT_LOG_INFO("serving certificate renewed, valid until {}",
                  absl::FormatTime(not_after_, absl::UTCTimeZone()));
    due = DueTime();
  }
}

std::shared_ptr<grpc::ServerCredentials> ServingCertificate::Credentials() const {
  const std::string serving = state_.PathOf(kServingFile);
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      serving, serving, state_.PathOf(kRootFile), kReloadSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace weft::ca
