#include "control-plane/ca/caller.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/x509_certificate.h"
#include "grpcpp/security/auth_context.h"

namespace weft::ca {
namespace {

// gRPC's names in its authentication context.
constexpr char kCertificateProperty[] = "x509_pem_cert";
constexpr std::string_view kScheme = "Bearer ";
constexpr size_t kMaxTokenBytes = 16 * 1024;  // service-account tokens are 1 to 2 KiB

}  // namespace

absl::StatusOr<SpiffeId> IdentityOfChain(std::string_view pem, std::string_view trust_domain) {
  absl::StatusOr<x509::Certificate> certificate = x509::Certificate::FromPem(pem);
  if (!certificate.ok()) return absl::UnauthenticatedError(certificate.status().message());
  absl::StatusOr<SpiffeId> identity = certificate->Identity();
  if (!identity.ok()) return absl::UnauthenticatedError(identity.status().message());
  if (identity->trust_domain != trust_domain) {
    return absl::UnauthenticatedError(absl::StrCat("the caller's certificate is of trust domain ",
                                                   identity->trust_domain, ", this mesh is ",
                                                   ToAbsl(trust_domain)));
  }
  return identity;
}

absl::StatusOr<std::optional<SpiffeId>> PeerIdentity(const grpc::ServerContextBase& context,
                                                     std::string_view trust_domain) {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr) return std::optional<SpiffeId>();
  const std::vector<grpc::string_ref> pem = peer->FindPropertyValues(kCertificateProperty);
  if (pem.empty()) return std::optional<SpiffeId>();
  absl::StatusOr<SpiffeId> identity =
      IdentityOfChain({pem.front().data(), pem.front().size()}, trust_domain);
  if (!identity.ok()) return identity.status();
  return std::optional<SpiffeId>(*std::move(identity));
}

std::string BearerToken(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) return "";
  const std::string_view value(found->second.data(), found->second.size());
  if (!absl::StartsWithIgnoreCase(ToAbsl(value), ToAbsl(kScheme))) return "";
  if (value.size() > kMaxTokenBytes) return "";
  return std::string(value.substr(kScheme.size()));
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.raw_code()), std::string(status.message())};
}

absl::StatusOr<WorkloadName> ParseWorkloadName(std::string_view name, std::string_view field) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    WorkloadName parsed{std::string(name.substr(0, slash)), std::string(name.substr(slash + 1))};
    // Namespaces and pods are named by the same rules as the parts of an identity.
    if (SpiffeId::Parse(SpiffeId{"any", parsed.name_space, parsed.pod}.ToString()).ok()) {
      return parsed;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(field), " \"", ToAbsl(name.substr(0, 300)),
                                                 "\" is not \"<namespace>/<pod>\""));
}

}  // namespace weft::ca
