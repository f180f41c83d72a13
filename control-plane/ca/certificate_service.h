// weft.v1.CertificateService: signs a sidecar's request for the identity that its credential
// yields.
#ifndef WEFT_CONTROL_PLANE_CA_CERTIFICATE_SERVICE_H_
#define WEFT_CONTROL_PLANE_CA_CERTIFICATE_SERVICE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/join_token_store.h"
#include "control-plane/ca/pod_token.h"
#include "control-plane/ca/rate_limit.h"
#include "control-plane/metrics.h"
#include "weft/v1/certificate.grpc.pb.h"

namespace weft::ca {

// The identity of the pod "namespace/pod", nullopt if the control plane does not know it.
using IdentityLookup = std::function<std::optional<SpiffeId>(std::string_view workload)>;

// The uid of the pod "namespace/pod"; empty if it is not known.
using UidLookup = std::function<std::string(std::string_view workload)>;

class CertificateService final : public v1::CertificateService::CallbackService {
 public:
  struct Options {
    // Checks service-account tokens; null: none are taken. Must be done before the service ends.
    PodTokenReviewer* reviewer = nullptr;
    UidLookup uid_of = nullptr;  // needed with a reviewer
    // Certificates of this identity carry these DNS names, too.
    std::optional<SpiffeId> named_identity = std::nullopt;
    std::vector<std::string> dns_names = {};
  };

  // What a caller has shown: either may be absent.
  struct Credentials {
    std::optional<SpiffeId> certificate;
    std::string bearer;
  };

  // The references must outlive the service.
  CertificateService(const Authority& authority, JoinTokenStore& tokens, IdentityLookup identity_of,
                     Metrics& metrics, Options options);
  CertificateService(const Authority& authority, JoinTokenStore& tokens, IdentityLookup identity_of,
                     Metrics& metrics)
      : CertificateService(authority, tokens, std::move(identity_of), metrics, Options()) {}

  grpc::ServerUnaryReactor* Sign(grpc::CallbackServerContext* context,
                                 const v1::SignRequest* request,
                                 v1::SignResponse* response) override;

  // Sign without its transport, for a certificate or a join token.
  absl::StatusOr<v1::SignResponse> Issue(const Credentials& caller, const v1::SignRequest& request,
                                         absl::Time now);

  // Sign for a service-account token that was reviewed.
  absl::StatusOr<v1::SignResponse> IssueForPod(const PodToken& token,
                                               const v1::SignRequest& request, absl::Time now);

 private:
  absl::StatusOr<SpiffeId> Authenticate(const Credentials& caller, std::string_view workload,
                                        absl::Time now);
  absl::Status AuthorizeWorkload(const SpiffeId& identity, std::string_view workload) const;
  absl::StatusOr<v1::SignResponse> SignFor(const SpiffeId& identity, const v1::SignRequest& request,
                                           absl::Time now);
  // Counts and logs a refusal; the status as the caller gets it.
  grpc::Status Outcome(const absl::StatusOr<v1::SignResponse>& signed_response,
                       const v1::SignRequest& request, const std::string& peer,
                       v1::SignResponse& response);

  const Authority& authority_;
  JoinTokenStore& tokens_;
  const IdentityLookup identity_of_;
  Metrics& metrics_;
  const Options options_;
  RateLimit rate_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_CERTIFICATE_SERVICE_H_
