#include "base/spiffe_id.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kMaxUriBytes = 2048;
constexpr size_t kMaxTrustDomainBytes = 255;
constexpr size_t kMaxSegmentBytes = 253;

bool IsLowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsTrustDomain(std::string_view s) {
  return !s.empty() && s.size() <= kMaxTrustDomainBytes && std::ranges::all_of(s, [](char c) {
    return IsLowerAlnum(c) || c == '.' || c == '-' || c == '_';
  });
}

// RFC 1123 subdomain, which Kubernetes names of namespaces and service accounts are.
bool IsKubernetesName(std::string_view s) {
  return !s.empty() && s.size() <= kMaxSegmentBytes && IsLowerAlnum(s.front()) &&
         IsLowerAlnum(s.back()) &&
         std::ranges::all_of(s, [](char c) { return IsLowerAlnum(c) || c == '-' || c == '.'; });
}

absl::Status Invalid(std::string_view uri, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("SPIFFE ID \"", ToAbsl(uri.substr(0, 200)), "\": ", ToAbsl(what)));
}

}  // namespace

absl::StatusOr<SpiffeId> SpiffeId::Parse(std::string_view uri) {
  if (uri.size() > kMaxUriBytes) return Invalid(uri, "longer than 2048 bytes");
  if (!uri.starts_with(kScheme)) return Invalid(uri, "does not start with spiffe://");
  std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string_view trust_domain = rest.substr(0, slash);
  if (!IsTrustDomain(trust_domain)) return Invalid(uri, "trust domain is malformed");
  const std::string_view layout_error = "path is not /ns/<namespace>/sa/<service-account>";
  if (slash == std::string_view::npos) return Invalid(uri, layout_error);
  std::string_view path = rest.substr(slash);
  constexpr std::string_view kNs = "/ns/";
  constexpr std::string_view kSa = "/sa/";
  if (!path.starts_with(kNs)) return Invalid(uri, layout_error);
  path.remove_prefix(kNs.size());
  const size_t sa = path.find('/');
  if (sa == std::string_view::npos || !path.substr(sa).starts_with(kSa)) {
    return Invalid(uri, layout_error);
  }
  const std::string_view name_space = path.substr(0, sa);
  const std::string_view account = path.substr(sa + kSa.size());
  if (!IsKubernetesName(name_space)) return Invalid(uri, "namespace is not a Kubernetes name");
  if (!IsKubernetesName(account)) return Invalid(uri, "service account is not a Kubernetes name");
  return SpiffeId{.trust_domain = std::string(trust_domain),
                  .name_space = std::string(name_space),
                  .service_account = std::string(account)};
}

std::string SpiffeId::ToString() const {
  return absl::StrCat("spiffe://", trust_domain, "/ns/", name_space, "/sa/", service_account);
}

}  // namespace weft
