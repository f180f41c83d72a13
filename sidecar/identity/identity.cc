#include "sidecar/identity/identity.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/x509_certificate.h"
#include "sidecar/discovery/backoff.h"
#include "sidecar/identity/file.h"
#include "sidecar/identity/svid.h"
#include "sidecar/io/event.h"

namespace weft::identity {
namespace {

constexpr size_t kMaxTokenBytes = 16 * 1024;
// The wall clock may be set, and a suspended machine stops the monotonic one: look again this
// often.
constexpr absl::Duration kLookAgain = absl::Seconds(15);
// Between attempts once the certificate has expired.
constexpr absl::Duration kLongestWithoutCertificate = absl::Seconds(5);
// Renewal falls evenly into this part of the remaining life.
constexpr double kRenewFrom = 0.60;
constexpr double kRenewTo = 0.72;

absl::StatusOr<std::vector<std::string>> ReadRoots(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, x509::kMaxBundleBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<x509::Certificate>> certificates =
      x509::Certificate::ListFromPem(*text);
  if (!certificates.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", certificates.status().message()));
  }
  std::vector<std::string> roots;
  for (const x509::Certificate& certificate : *certificates) {
    absl::StatusOr<std::string> pem = certificate.ToPem();
    if (!pem.ok()) return pem.status();
    roots.push_back(*std::move(pem));
  }
  return roots;
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxTokenBytes);
  if (!text.ok()) return text.status();
  const absl::string_view token = absl::StripAsciiWhitespace(*text);
  if (token.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no token in it"));
  // It becomes a header's value; the token itself stays out of the message.
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; })) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not one printable token"));
  }
  return std::string(token);
}

}  // namespace

class Identity::Impl {
 public:
  Impl(Options options, discovery::ControlPlane* control_plane, std::vector<std::string> roots)
      : options_(std::move(options)),
        control_plane_(control_plane),
        backoff_(options_.backoff_min, options_.backoff_max),
        file_roots_(std::move(roots)) {}

  io::Task<void> Run();
  io::Task<void> Stop();

  std::shared_ptr<const tls::Context> DialContext(bool with_certificate) const;
  bool HasValidCertificate() const { return svid_.has_value() && absl::Now() < svid_->not_after(); }
  void Subscribe(Listener listener);
  absl::Status SetTrustBundle(const weft::v1::TrustBundle& bundle);
  IdentityStatus status() const;

  bool running_ = false;
  std::shared_ptr<const tls::Context> context_;

 private:
  io::Task<absl::Status> Attempt();
  io::Task<void> SleepUntil(absl::Time when);
  absl::Status Install(Svid svid);
  absl::Status Publish(const std::optional<Svid>& svid, const std::vector<std::string>& roots);
  absl::Time RenewalTime();
  absl::Time RetryTime();

  const Options options_;
  discovery::ControlPlane* const control_plane_;
  absl::BitGen random_;
  discovery::Backoff backoff_;
  std::vector<Listener> listeners_;

  std::optional<Svid> svid_;
  std::vector<std::string> roots_;       // as told by the control plane; empty at first
  std::vector<std::string> file_roots_;  // as last read from the trust bundle file
  bool certificate_refused_ = false;     // the last attempt by certificate failed: try the token
  absl::Time next_attempt_ = absl::InfinitePast();
  uint64_t certificates_ = 0;
  uint64_t failures_ = 0;
  std::string last_error_;

  bool stopping_ = false;
  io::Event wake_;     // for Run(): something has changed
  io::Event stopped_;  // for Stop()
};

io::Task<void> Identity::Impl::Run() {
  running_ = true;
  while (!stopping_) {
    co_await SleepUntil(next_attempt_);
    if (stopping_) break;
    next_attempt_ = absl::InfiniteFuture();
    const absl::Status outcome = co_await Attempt();
    if (outcome.ok()) {
      backoff_.Reset();
      last_error_.clear();
      next_attempt_ = RenewalTime();
      WEFT_LOG_INFO("certificate obtained identity={} serial={} not_after={} renewal={}",
                    svid_->id.ToString(), svid_->chain.front().Serial(),
                    absl::FormatTime(absl::RFC3339_sec, svid_->not_after(), absl::UTCTimeZone()),
                    absl::FormatTime(absl::RFC3339_sec, next_attempt_, absl::UTCTimeZone()));
    } else {
      ++failures_;
      last_error_ = std::string(outcome.message());
      next_attempt_ = RetryTime();
      WEFT_LOG_WARN(
          "no certificate obtained: {}; next attempt in {}", outcome.ToString(),
          absl::FormatDuration(absl::Trunc(next_attempt_ - absl::Now(), absl::Milliseconds(1))));
    }
  }
  running_ = false;
  stopped_.Notify();
}

io::Task<void> Identity::Impl::Stop() {
  stopping_ = true;
  wake_.Notify();
  while (running_) co_await io::Wait(stopped_);
}

io::Task<void> Identity::Impl::SleepUntil(absl::Time when) {
  for (;;) {
    // SetTrustBundle may bring the time forward.
    const absl::Duration left = std::min(when, next_attempt_) - absl::Now();
    if (stopping_ || left <= absl::ZeroDuration()) co_return;
    co_await io::Wait(wake_,
                      io::MonotonicNow() + absl::ToInt64Nanoseconds(std::min(left, kLookAgain)));
  }
}

absl::Time Identity::Impl::RenewalTime() {
  const absl::Time now = absl::Now();
  return now + (svid_->not_after() - now) * absl::Uniform(random_, kRenewFrom, kRenewTo);
}

// While there is a certificate, several attempts must fit into what is left of its life.
absl::Time Identity::Impl::RetryTime() {
  const absl::Time now = absl::Now();
  absl::Duration wait = absl::Nanoseconds(backoff_.Next(random_));
  if (HasValidCertificate()) {
    wait = std::min(
        wait, std::max(absl::Nanoseconds(options_.backoff_min), (svid_->not_after() - now) / 4));
  } else if (svid_.has_value()) {
    // It has expired: nobody new can be spoken to until the authority is back.
    wait = std::min(wait, kLongestWithoutCertificate);
  }
  return now + wait;
}

io::Task<absl::Status> Identity::Impl::Attempt() {
  const bool by_certificate = HasValidCertificate() && !certificate_refused_;
  // The file may have been replaced (a mounted ConfigMap is); an unreadable one changes nothing.
  if (absl::StatusOr<std::vector<std::string>> roots = ReadRoots(options_.trust_bundle_file);
      roots.ok()) {
    file_roots_ = *std::move(roots);
  }
  Credential credential{.context = DialContext(by_certificate), .token = ""};
  if (credential.context == nullptr) co_return absl::InternalError("no TLS settings can be made");
  if (!by_certificate) {
    absl::StatusOr<std::string> token = ReadToken(options_.join_token_file);
    if (!token.ok()) {
      certificate_refused_ = false;
      co_return absl::Status(token.status().code(),
                             absl::StrCat("join token: ", token.status().message()));
    }
    credential.token = *std::move(token);
  }
  const Expected expected{.trust_domain = options_.trust_domain,
                          .name_space = options_.workload.substr(0, options_.workload.find('/')),
                          .service_account = options_.service_account};
  absl::StatusOr<Svid> svid =
      co_await ObtainSvid(control_plane_, options_.workload, expected, std::move(credential),
                          io::MonotonicNow() + options_.attempt_timeout);
  certificate_refused_ = by_certificate && !svid.ok();
  if (!svid.ok()) co_return svid.status();
  co_return Install(*std::move(svid));
}

absl::Status Identity::Impl::Install(Svid svid) {
  std::vector<std::string> roots = svid.roots_pem;
  std::optional<Svid> installed(std::move(svid));
  if (absl::Status published = Publish(installed, roots); !published.ok()) return published;
  svid_ = std::move(installed);
  roots_ = std::move(roots);
  ++certificates_;
  for (const Listener& listener : listeners_) listener(context_);
  return absl::OkStatus();
}

absl::Status Identity::Impl::Publish(const std::optional<Svid>& svid,
                                     const std::vector<std::string>& roots) {
  absl::StatusOr<std::shared_ptr<const tls::Context>> context = MakeContext(*svid, roots, {});
  if (!context.ok()) return context.status();
  context_ = *std::move(context);
  return absl::OkStatus();
}

std::shared_ptr<const tls::Context> Identity::Impl::DialContext(bool with_certificate) const {
  absl::StatusOr<std::shared_ptr<const tls::Context>> context;
  if (with_certificate && HasValidCertificate()) {
    context = MakeContext(*svid_, roots_, file_roots_);
  } else {
    tls::Credentials anonymous;
    anonymous.roots_pem = roots_;
    anonymous.roots_pem.insert(anonymous.roots_pem.end(), file_roots_.begin(), file_roots_.end());
    anonymous.trust_domain = options_.trust_domain;
    context = tls::Context::Create(anonymous);
  }
  if (!context.ok()) {
    WEFT_LOG_ERROR("TLS settings for the control plane: {}", context.status().ToString());
    return nullptr;
  }
  return *std::move(context);
}

void Identity::Impl::Subscribe(Listener listener) {
  if (context_ != nullptr) listener(context_);
  listeners_.push_back(std::move(listener));
}

absl::Status Identity::Impl::SetTrustBundle(const weft::v1::TrustBundle& bundle) {
  if (bundle.trust_domain() != options_.trust_domain) {
    return absl::InvalidArgumentError(absl::StrCat("trust_domain is \"", bundle.trust_domain(),
                                                   "\", expected \"", options_.trust_domain, "\""));
  }
  if (bundle.roots_pem().empty()) return absl::InvalidArgumentError("roots_pem is empty");
  std::vector<x509::Certificate> certificates;
  for (int i = 0; i < bundle.roots_pem_size(); ++i) {
    absl::StatusOr<x509::Certificate> root = x509::Certificate::FromPem(bundle.roots_pem(i));
    if (!root.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("roots_pem[", i, "]: ", root.status().message()));
    }
    certificates.push_back(*std::move(root));
  }
  std::vector<std::string> roots(bundle.roots_pem().begin(), bundle.roots_pem().end());
  if (roots == roots_) return absl::OkStatus();
  if (svid_.has_value()) {
    if (absl::Status published = Publish(svid_, roots); !published.ok()) return published;
  }
  roots_ = std::move(roots);
  WEFT_LOG_INFO("trust bundle changed roots={}", roots_.size());
  if (!svid_.has_value()) return absl::OkStatus();
  for (const Listener& listener : listeners_) listener(context_);
  const std::vector<x509::Certificate> intermediates(svid_->chain.begin() + 1, svid_->chain.end());
  if (HasValidCertificate() &&
      !x509::VerifyChain(svid_->chain.front(), intermediates, certificates, absl::Now()).ok()) {
    // Peers with these roots refuse our certificate: do not wait for its renewal.
    if (next_attempt_ != absl::InfiniteFuture()) next_attempt_ = absl::Now();
    wake_.Notify();
  }
  return absl::OkStatus();
}

IdentityStatus Identity::Impl::status() const {
  IdentityStatus status;
  status.has_certificate = HasValidCertificate();
  status.next_attempt = next_attempt_;
  status.roots_pem = roots_.empty() ? file_roots_ : roots_;
  status.certificates = certificates_;
  status.failures = failures_;
  status.last_error = last_error_;
  if (svid_.has_value()) {
    const x509::Certificate& leaf = svid_->chain.front();
    status.spiffe_id = svid_->id.ToString();
    status.serial = leaf.Serial();
    status.not_before = leaf.NotBefore();
    status.not_after = leaf.NotAfter();
    status.chain_pem = svid_->chain_pem;
  }
  return status;
}

absl::StatusOr<std::unique_ptr<Identity>> Identity::Create(Options options,
                                                           discovery::ControlPlane* control_plane) {
  absl::StatusOr<std::vector<std::string>> roots = ReadRoots(options.trust_bundle_file);
  if (!roots.ok()) {
    return absl::Status(roots.status().code(),
                        absl::StrCat("trust bundle: ", roots.status().message()));
  }
  return std::unique_ptr<Identity>(
      new Identity(std::make_unique<Impl>(std::move(options), control_plane, *std::move(roots))));
}

Identity::Identity(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Identity::~Identity() = default;

void Identity::Start() { io::Spawn(impl_->Run()); }
io::Task<void> Identity::Stop() { return impl_->Stop(); }

const std::shared_ptr<const tls::Context>& Identity::context() const { return impl_->context_; }

std::shared_ptr<const tls::Context> Identity::ControlPlaneContext() const {
  return impl_->DialContext(true);
}

void Identity::Subscribe(Listener listener) { impl_->Subscribe(std::move(listener)); }

absl::Status Identity::SetTrustBundle(const weft::v1::TrustBundle& bundle) {
  return impl_->SetTrustBundle(bundle);
}

IdentityStatus Identity::status() const { return impl_->status(); }

}  // namespace weft::identity
