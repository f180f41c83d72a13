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
#include "control-plane/ca/serving_certificate.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

// A sidecar signs once at start and at two thirds of each certificate's life, which may be seconds.
constexpr double kBurst = 20;
constexpr double kPerSecond = 1;

}  // namespace

CertificateService::CertificateService(const Authority& authority, JoinTokenStore& tokens,
                                       IdentityLookup identity_of, Metrics& metrics,
                                       Options options)
    : authority_(authority),
      tokens_(tokens),
      identity_of_(std::move(identity_of)),
      metrics_(metrics),
      options_(std::move(options)),
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
  if (IsJwt(caller.bearer)) {
    return absl::UnauthenticatedError(
        "service-account tokens are not taken here: this control plane reads a directory, make a "
        "join token with \"meshctl token create\"");
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
  return SignFor(*identity, request, now);
}

absl::StatusOr<v1::SignResponse> CertificateService::IssueForPod(const PodToken& token,
                                                                 const v1::SignRequest& request,
                                                                 absl::Time now) {
  const std::string account = absl::StrCat(token.name_space, "/", token.service_account);
  if (token.pod.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the token of service account ", account,
                     " is bound to no pod: mount it as a projected volume (serviceAccountToken)"));
  }
  const std::string workload = absl::StrCat(token.name_space, "/", token.pod);
  if (request.workload() != workload) {
    return absl::PermissionDeniedError(absl::StrCat("the token is for workload ", workload,
                                                    ", not for \"",
                                                    request.workload().substr(0, 300), "\""));
  }
  // The pod may be so new that the watch has not told of it: then the token is proof enough. But a
  // token may outlive its pod, and another of the same name may have come.
  const std::string uid = options_.uid_of ? options_.uid_of(workload) : "";
  if (!uid.empty() && uid != token.pod_uid) {
    return absl::PermissionDeniedError(
        absl::StrCat("the token is for another pod that had the name ", workload, " (uid ",
                     token.pod_uid, ", known is ", uid, "): if the pod is new, try again"));
  }
  return SignFor({authority_.trust_domain(), token.name_space, token.service_account}, request,
                 now);
}

absl::StatusOr<v1::SignResponse> CertificateService::SignFor(const SpiffeId& identity,
                                                             const v1::SignRequest& request,
                                                             absl::Time now) {
  if (identity == ControlPlaneIdentity(authority_.trust_domain())) {
    return absl::PermissionDeniedError(
        absl::StrCat(identity.ToString(), " is the control plane's own identity"));
  }
  if (!rate_.Allow(request.workload(), now)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "workload ", request.workload(), " asks for certificates too often: at most one a second"));
  }
  absl::StatusOr<x509::PublicKey> key = x509::CheckRequest(request.csr_pem());
  if (!key.ok()) return key.status();
  const bool named = options_.named_identity == identity;
  absl::StatusOr<Authority::Issued> issued =
      authority_.IssueChain(*key, identity, named ? options_.dns_names : std::vector<std::string>(),
                            now, authority_.leaf_lifetime());
  if (!issued.ok()) return issued.status();
  v1::SignResponse response;
  for (std::string& pem : issued->chain_pem) response.add_chain_pem(std::move(pem));
  for (std::string& root : issued->roots_pem) response.add_roots_pem(std::move(root));
  response.set_spiffe_id(identity.ToString());
  *response.mutable_not_after() = google::protobuf::util::TimeUtil::SecondsToTimestamp(
      absl::ToUnixSeconds(issued->leaf.NotAfter()));
  WEFT_LOG_DEBUG("signed a certificate workload={} identity={} serial={}", request.workload(),
                 response.spiffe_id(), issued->leaf.Serial());
  return response;
}

grpc::Status CertificateService::Outcome(const absl::StatusOr<v1::SignResponse>& signed_response,
                                         const v1::SignRequest& request, const std::string& peer,
                                         v1::SignResponse& response) {
  const absl::Status& status = signed_response.status();
  if (status.ok()) {
    metrics_.certificates_signed.Increment();
    response = *signed_response;
  } else {
    metrics_.CertificatesRefused(status.code()).Increment();
    // Nobody has vouched for these words: they must not forge a line of the log.
    WEFT_LOG_WARN("certificate refused workload={} peer={}: {}",
                  absl::CHexEscape(request.workload().substr(0, 300)), peer,
                  absl::CHexEscape(status.ToString()));
  }
  return ToGrpc(status);
}

grpc::ServerUnaryReactor* CertificateService::Sign(grpc::CallbackServerContext* context,
                                                   const v1::SignRequest* request,
                                                   v1::SignResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const std::string peer_address = context->peer();
  absl::StatusOr<std::optional<SpiffeId>> peer = PeerIdentity(*context, authority_.trust_domain());
  if (!peer.ok()) {
    reactor->Finish(Outcome(peer.status(), *request, peer_address, *response));
    return reactor;
  }
  std::string bearer = BearerToken(*context);
  if (!peer->has_value() && options_.reviewer != nullptr && IsJwt(bearer)) {
    // The request and its answer live until Finish.
    options_.reviewer->Review(std::move(bearer), [this, reactor, request, response,
                                                  peer_address](absl::StatusOr<PodToken> token) {
      const absl::StatusOr<v1::SignResponse> issued =
          token.ok() ? IssueForPod(*token, *request, absl::Now())
                     : absl::StatusOr<v1::SignResponse>(token.status());
      reactor->Finish(Outcome(issued, *request, peer_address, *response));
    });
    return reactor;
  }
  reactor->Finish(Outcome(Issue({*peer, std::move(bearer)}, *request, absl::Now()), *request,
                          peer_address, *response));
  return reactor;
}

}  // namespace weft::ca
