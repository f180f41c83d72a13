#include "injector/webhook/identity.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"

namespace weft::webhook {

ServingIdentity::ServingIdentity(Options options, Signer& signer, Metrics& metrics)
    : options_(std::move(options)), signer_(signer), metrics_(metrics) {
  ReadRoots();
  thread_ = std::thread([this] { Run(); });
}

ServingIdentity::~ServingIdentity() {
  stop_.Cancel();
  thread_.join();
}

std::shared_ptr<const ServingCertificate> ServingIdentity::Current() const {
  absl::MutexLock lock(&mutex_);
  return current_;
}

bool ServingIdentity::Usable() const {
  const std::shared_ptr<const ServingCertificate> current = Current();
  return current != nullptr && absl::Now() < current->not_after();
}

std::vector<std::string> ServingIdentity::Roots() const {
  absl::MutexLock lock(&mutex_);
  if (current_ == nullptr) return {};
  std::set<std::string> roots(file_roots_.begin(), file_roots_.end());
  roots.insert(signed_roots_.begin(), signed_roots_.end());
  return {roots.begin(), roots.end()};
}

void ServingIdentity::Run() {
  kubernetes::Backoff backoff(options_.first_backoff, options_.max_backoff);
  absl::Time due = absl::InfinitePast();
  do {
    if (ReadRoots()) {
      WEFT_LOG_INFO("the mesh's roots have changed");
      due = absl::InfinitePast();
    }
    if (absl::Now() < due) continue;
    if (absl::Status renewed = Renew(); renewed.ok()) {
      backoff.Reset();
      const std::shared_ptr<const ServingCertificate> current = Current();
      due = current->not_before() + (current->not_after() - current->not_before()) * 2 / 3;
      metrics_.Renewals("ok").Increment();
      WEFT_LOG_INFO("serving certificate valid until {}",
                    absl::FormatTime(current->not_after(), absl::UTCTimeZone()));
    } else {
      due = absl::Now() + backoff.Next();
      metrics_.Renewals("failed").Increment();
      WEFT_LOG_WARN("no serving certificate, trying again: {}", renewed.ToString());
    }
  } while (stop_.Sleep(std::clamp(due - absl::Now(), absl::Milliseconds(10), options_.look_again)));
}

bool ServingIdentity::ReadRoots() {
  absl::StatusOr<std::string> bundle = ReadSmallFile(options_.trust_bundle_file);
  // Missing or half-written for a moment: what was read before counts.
  if (!bundle.ok() || *bundle == bundle_) return false;
  absl::StatusOr<std::vector<std::string>> roots = CertificatesIn(*bundle);
  if (!roots.ok() || roots->empty()) return false;
  bundle_ = *std::move(bundle);
  absl::MutexLock lock(&mutex_);
  file_roots_ = *std::move(roots);
  return true;
}

absl::Status ServingIdentity::Renew() {
  absl::StatusOr<KeyPtr> key = GenerateKey();
  if (!key.ok()) return key.status();
  absl::StatusOr<std::string> request = CreateRequest(key->get());
  if (!request.ok()) return request.status();
  absl::StatusOr<Signed> signed_chain = signer_.Sign(*request);
  if (!signed_chain.ok()) return signed_chain.status();
  absl::StatusOr<std::shared_ptr<const ServingCertificate>> serving =
      ServingCertificate::Create(*std::move(key), signed_chain->chain_pem);
  if (!serving.ok()) return serving.status();
  std::vector<std::string> roots;
  for (const std::string& pem : signed_chain->roots_pem) {
    absl::StatusOr<std::vector<std::string>> parsed = CertificatesIn(pem);
    if (!parsed.ok()) return parsed.status();
    roots.insert(roots.end(), parsed->begin(), parsed->end());
  }
  if (roots.empty()) return absl::InvalidArgumentError("the CA named no roots");
  if (!options_.dns_name.empty() && !(*serving)->IsFor(options_.dns_name)) {
    WEFT_LOG_ERROR(
        "the certificate is not for {}: the API server will refuse it. Does the pod run "
        "with the service account weft-injector of the mesh's namespace?",
        options_.dns_name);
  }
  metrics_.certificate_expiry.Set(
      static_cast<double>(absl::ToUnixSeconds((*serving)->not_after())));
  absl::MutexLock lock(&mutex_);
  current_ = *std::move(serving);
  signed_roots_ = std::move(roots);
  return absl::OkStatus();
}

}  // namespace weft::webhook
