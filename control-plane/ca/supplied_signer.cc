#include "control-plane/ca/supplied_signer.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace weft::ca {
namespace {

constexpr absl::Duration kMinMargin = absl::Seconds(5);
// Sidecars that do not acknowledge do not hold a renewal up for ever: the old one may expire.
constexpr int kPatience = 10;

bool Contains(const std::vector<x509::Certificate>& certificates, const x509::Certificate& one) {
  return std::ranges::any_of(certificates, [&](const x509::Certificate& certificate) {
    return certificate.Fingerprint() == one.Fingerprint();
  });
}

bool Same(const std::vector<x509::Certificate>& a, const std::vector<x509::Certificate>& b) {
  return std::ranges::equal(a, b, {}, &x509::Certificate::Fingerprint,
                            &x509::Certificate::Fingerprint);
}

bool Same(const Trust& a, const Trust& b) {
  return a.signer.Fingerprint() == b.signer.Fingerprint() && Same(a.roots, b.roots) &&
         Same(a.intermediates, b.intermediates);
}

// Whoever trusts `roots` accepts what `supplied` signs.
bool IsAcceptedBy(const Trust& supplied, const std::vector<x509::Certificate>& roots,
                  absl::Time now) {
  return Contains(roots, supplied.signer) ||
         x509::VerifyChain(supplied.signer, supplied.intermediates, roots, now).ok();
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::FailedPreconditionError(absl::StrCat("cannot read ", path));
  std::string content(x509::kMaxBundleBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<size_t>(file.gcount()));
  if (content.size() > x509::kMaxBundleBytes) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is larger than 256 KiB"));
  }
  return content;
}

absl::Status WithName(const SuppliedSource& source, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(source.Name(), ": ", status.message()));
}

}  // namespace

absl::StatusOr<SuppliedPem> SuppliedFiles::Read() {
  SuppliedPem pem;
  for (const auto& [path, part] : {std::pair{&chain_, &pem.chain}, std::pair{&key_, &pem.key},
                                   std::pair{&roots_, &pem.roots}}) {
    absl::StatusOr<std::string> content = ReadSmallFile(*path);
    if (!content.ok()) return content.status();
    *part = *std::move(content);
  }
  return pem;
}

SuppliedKeeper::SuppliedKeeper(std::unique_ptr<SuppliedSource> source, StateDirectory state,
                               Options options, Authority authority, Trust supplied)
    : source_(std::move(source)),
      state_(std::move(state)),
      options_(std::move(options)),
      authority_(std::move(authority)),
      supplied_(std::move(supplied)) {}

absl::StatusOr<std::unique_ptr<SuppliedKeeper>> SuppliedKeeper::Open(
    std::unique_ptr<SuppliedSource> source, StateDirectory state, Options options, absl::Time now) {
  absl::StatusOr<SuppliedPem> pem = source->Read();
  if (!pem.ok()) return WithName(*source, pem.status());
  absl::StatusOr<Trust> trust = CheckSupplied(*pem, options.authority.trust_domain, now);
  if (!trust.ok()) return WithName(*source, trust.status());
  if (absl::Status written = WriteRoots(state, *trust); !written.ok()) return written;
  Authority authority(options.authority, std::make_shared<const Trust>(*trust));
  return absl::WrapUnique(new SuppliedKeeper(std::move(source), std::move(state),
                                             std::move(options), std::move(authority),
                                             *std::move(trust)));
}

absl::Status SuppliedKeeper::problem() const {
  absl::MutexLock lock(&mu_);
  return problem_;
}

absl::Status SuppliedKeeper::Install(Trust trust) {
  // The file first: the gRPC server must accept whatever peers are told to trust.
  if (absl::Status written = WriteRoots(state_, trust); !written.ok()) return written;
  authority_.Install(std::make_shared<const Trust>(std::move(trust)));
  return absl::OkStatus();
}

absl::Status SuppliedKeeper::SignWith(Trust supplied, absl::Time now) {
  const absl::Duration leaf = options_.authority.leaf_lifetime;
  const absl::Time until = now + leaf + std::max(kMinMargin, leaf / 10);
  for (const x509::Certificate& root : authority_.Current()->roots) {
    const bool known = std::ranges::any_of(leaving_, [&](const Leaving& leaving) {
      return leaving.root.Fingerprint() == root.Fingerprint();
    });
    if (!known && !Contains(supplied.roots, root)) leaving_.push_back({root, until});
  }
  std::erase_if(leaving_,
                [&](const Leaving& leaving) { return Contains(supplied.roots, leaving.root); });
  for (const Leaving& leaving : leaving_) supplied.roots.push_back(leaving.root);
  WEFT_LOG_INFO(
      "{} signs from now on: certificate {}, valid until {}", source_->Name(),
      supplied.signer.Serial(),
      absl::FormatTime(absl::RFC3339_sec, supplied.signer.NotAfter(), absl::UTCTimeZone()));
  announced_ = false;
  return Install(std::move(supplied));
}

void SuppliedKeeper::Consider(Trust supplied, absl::Time now) {
  if (Same(supplied, supplied_)) return;
  const std::shared_ptr<const Trust> current = authority_.Current();
  absl::Status installed;
  if (!announced_ && IsAcceptedBy(supplied, current->roots, now)) {
    installed = SignWith(supplied, now);
  } else {
    Trust both = *current;
    for (const x509::Certificate& root : supplied.roots) {
      if (!Contains(both.roots, root)) both.roots.push_back(root);
    }
    WEFT_LOG_INFO("{} has another root: it is announced before it is relied on", source_->Name());
    installed = Install(std::move(both));
    announced_ = installed.ok();
    sign_at_ = now + options_.settle;
  }
  if (installed.ok()) {
    supplied_ = std::move(supplied);
  } else {
    problem_ = installed;
  }
}

absl::Status SuppliedKeeper::Take(const absl::StatusOr<SuppliedPem>& pem, absl::Time now) {
  if (!pem.ok()) return WithName(*source_, pem.status());
  absl::StatusOr<Trust> supplied = CheckSupplied(*pem, options_.authority.trust_domain, now);
  if (!supplied.ok()) return WithName(*source_, supplied.status());
  Consider(*std::move(supplied), now);
  return absl::OkStatus();
}

absl::Status SuppliedKeeper::Refresh(absl::Time now) {
  // It may take its time, which nobody should wait for.
  const absl::StatusOr<SuppliedPem> pem = source_->Read();
  absl::MutexLock lock(&mu_);
  absl::Status looked = Take(pem, now);
  if (!looked.ok() && looked != problem_) {
    WEFT_LOG_ERROR("the supplied signing certificate cannot be used, the last one goes on: {}",
                   looked.ToString());
  }
  problem_ = std::move(looked);
  const bool signer_ended = now >= authority_.Current()->signer.NotAfter();
  if (announced_ && (now >= sign_at_ || signer_ended) &&
      (signer_ended || options_.all_acknowledged() ||
       now >= sign_at_ + kPatience * options_.settle)) {
    if (absl::Status signing = SignWith(supplied_, now); !signing.ok()) problem_ = signing;
  }
  if (!announced_ &&
      std::erase_if(leaving_, [&](const Leaving& leaving) { return now >= leaving.until; }) > 0) {
    Trust rest = supplied_;
    for (const Leaving& leaving : leaving_) rest.roots.push_back(leaving.root);
    WEFT_LOG_INFO("an old root of {} is no longer trusted", source_->Name());
    if (absl::Status left = Install(std::move(rest)); !left.ok()) problem_ = left;
  }
  return problem_;
}

}  // namespace weft::ca
