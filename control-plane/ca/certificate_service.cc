#include "control-plane/ca/certificate_service.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/caller.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

// A sidecar signs once at start and at two thirds of each certificate's life, which may be seconds.
constexpr double kBurst = 20;
constexpr double kPerSecond = 1;

}  // namespace

CertificateService::CertificateService(const Authority& authority, JoinTokenStore& tokens,
                                       IdentityLookup identity_of, Metrics& metrics)
    : authority_(authority),
      tokens_(tokens),
      identity_of_(std::move(identity_of)),
      metrics_(metrics),
      rate_(kBurst, kPerSecond) {}

absl::StatusOr<SpiffeId> CertificateService::Authenticate(const Credentials& caller,
                                                          std::string_view workload,
                                                          absl::Time now) {
  // The certificate first: a token may have expired long ago, which does not matter to who has
  // joined.
  if (caller.certificate.has_value()) return *caller.certificate;
  if (caller.bearer.empty()) {
    return absl::UnauthenticatedError(
        "no credential: present a mesh certificate, or a join token as \"authorization: Bearer "
        "<token>\"");
  }
  absl::StatusOr<JoinToken> token = tokens_.Check(caller.bearer, now);
  if (!token.ok()) {
    if (absl::IsUnauthenticated(token.status())) return token.status();
    WEFT_LOG_ERROR("join tokens cannot be checked: {}", token.status().ToString());
    return absl::UnavailableError(
        "join tokens cannot be checked at the moment; see the control "
        "plane's log");
  }
  if (!token->workload().empty() && token->workload() != ToAbsl(workload)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the join token is for workload ", token->workload(), ", not for ", ToAbsl(workload)));
  }
  return SpiffeId{authority_.trust_domain(), token->namespace_(), token->service_account()};
}

absl::Status CertificateService::AuthorizeWorkload(const SpiffeId& identity,
                                                   std::string_view workload) const {
  absl::StatusOr<WorkloadName> name = ParseWorkloadName(workload, "workload");
  if (!name.ok()) return name.status();
  if (name->name_space != identity.name_space) {
    return absl::PermissionDeniedError(absl::StrCat(
        "workload ", ToAbsl(workload), " is not in the namespace of ", identity.ToString()));
  }
  const std::optional<SpiffeId> actual = identity_of_(workload);
  if (!actual.has_value()) {
    return absl::PermissionDeniedError(
        absl::StrCat("pod ", ToAbsl(workload), " is not known to the control plane (yet): if its ",
                     "manifest is still on its way, try again"));
  }
  if (*actual != identity) {
    return absl::PermissionDeniedError(absl::StrCat("pod ", ToAbsl(workload), " is ",
                                                    actual->ToString(), ", the caller is ",
                                                    identity.ToString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::SignResponse> CertificateService::Issue(const Credentials& caller,
                                                           const v1::SignRequest& request,
                                                           absl::Time now) {
  absl::StatusOr<SpiffeId> identity = Authenticate(caller, request.workload(), now);
  if (!identity.ok()) return identity.status();
  if (absl::Status allowed = AuthorizeWorkload(*identity, request.workload()); !allowed.ok()) {
    return allowed;
  }
  if (!rate_.Allow(request.workload(), now)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "workload ", request.workload(), " asks for certificates too often: at most one a second"));
  }
  absl::StatusOr<x509::PublicKey> key = x509::CheckRequest(request.csr_pem());
  if (!key.ok()) return key.status();
  absl::StatusOr<x509::Certificate> certificate = authority_.Issue(*key, *identity, {}, now);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> pem = certificate->ToPem();
  if (!pem.ok()) return pem.status();
  v1::SignResponse response;
  response.add_chain_pem(*std::move(pem));
  for (const std::string& root : authority_.RootsPem()) response.add_roots_pem(root);
  response.set_spiffe_id(identity->ToString());
  *response.mutable_not_after() = google::protobuf::util::TimeUtil::SecondsToTimestamp(
      absl::ToUnixSeconds(certificate->NotAfter()));
  WEFT_LOG_DEBUG("signed a certificate workload={} identity={} serial={}", request.workload(),
                 response.spiffe_id(), certificate->Serial());
  return response;
}

grpc::ServerUnaryReactor* CertificateService::Sign(grpc::CallbackServerContext* context,
                                                   const v1::SignRequest* request,
                                                   v1::SignResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::StatusOr<std::optional<SpiffeId>> peer = PeerIdentity(*context, authority_.trust_domain());
  absl::StatusOr<v1::SignResponse> signed_response =
      peer.ok() ? Issue({*peer, BearerToken(*context)}, *request, absl::Now()) : peer.status();
  const absl::Status status = signed_response.status();
  if (status.ok()) {
    metrics_.certificates_signed.Increment();
    *response = *std::move(signed_response);
  } else {
    metrics_.CertificatesRefused(status.code()).Increment();
    // Nobody has vouched for these words: they must not forge a line of the log.
    WEFT_LOG_WARN("certificate refused workload={} peer={}: {}",
                  absl::CHexEscape(request->workload().substr(0, 300)), context->peer(),
                  absl::CHexEscape(status.ToString()));
  }
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace weft::ca
