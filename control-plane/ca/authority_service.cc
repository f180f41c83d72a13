#include "control-plane/ca/authority_service.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "control-plane/ca/caller.h"
#include "control-plane/ca/operator_access.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

using Certificate = v1::AuthorityCertificate;

void Describe(const x509::Certificate& certificate, Certificate::Role role, bool root,
              v1::GetAuthorityResponse& response) {
  Certificate& described = *response.add_certificates();
  described.set_role(role);
  described.set_fingerprint(certificate.Fingerprint());
  described.set_serial(certificate.Serial());
  *described.mutable_not_before() = ToTimestamp(certificate.NotBefore());
  *described.mutable_not_after() = ToTimestamp(certificate.NotAfter());
  described.set_root(root);
  for (std::string& pem : ToPemList({certificate})) described.set_pem(std::move(pem));
}

Certificate::Role RoleOf(const x509::Certificate& root, const Trust& trust,
                         RotationRecord::Phase phase) {
  if (root.Fingerprint() == trust.signer.Fingerprint()) return Certificate::SIGNING;
  switch (phase) {
    case RotationRecord::ANNOUNCED:
    case RotationRecord::CONFIRMED:
      return Certificate::NEXT;
    case RotationRecord::SIGNING:
      return Certificate::RETIRING;
    default:
      return Certificate::TRUSTED;
  }
}

v1::RootRotation Describe(const RotationStatus& status) {
  const RotationRecord& record = status.document.record;
  v1::RootRotation rotation;
  rotation.set_phase(static_cast<v1::RootRotation::Phase>(record.phase()));
  rotation.set_generation(record.generation());
  if (record.has_started()) *rotation.mutable_started() = record.started();
  if (record.has_phase_since()) *rotation.mutable_phase_since() = record.phase_since();
  if (record.has_finished()) *rotation.mutable_finished() = record.finished();
  rotation.set_leader(status.leader);
  for (const std::string& wait : status.step.waits) rotation.add_waits(wait);
  if (record.phase() == RotationRecord::STABLE) return rotation;
  if (status.step.earliest != absl::InfinitePast()) {
    *rotation.mutable_earliest() = ToTimestamp(status.step.earliest);
  }
  for (const ReplicaReport& report : status.replicas) {
    v1::AuthorityReplica& replica = *rotation.add_replicas();
    replica.set_name(report.name);
    replica.set_generation(report.generation);
    replica.set_sidecars(report.sidecars);
    replica.set_acknowledged(report.acknowledged);
    for (const std::string& workload : report.waiting) replica.add_waiting(workload);
    *replica.mutable_reported() = ToTimestamp(report.reported);
  }
  return rotation;
}

}  // namespace

AuthorityService::AuthorityService(Authority authority, Source source, std::string operator_token)
    : authority_(std::move(authority)),
      source_(std::move(source)),
      operator_token_(std::move(operator_token)) {}

v1::GetAuthorityResponse AuthorityService::Describe(absl::Time now) const {
  v1::GetAuthorityResponse response;
  response.set_source(source_.name);
  response.set_supplied(source_.rotation == nullptr);
  response.set_trust_domain(authority_.trust_domain());
  *response.mutable_leaf_lifetime() = google::protobuf::util::TimeUtil::NanosecondsToDuration(
      absl::ToInt64Nanoseconds(authority_.leaf_lifetime()));
  RotationRecord::Phase phase = RotationRecord::STABLE;
  absl::Status problem = source_.problem ? source_.problem() : absl::OkStatus();
  if (source_.rotation != nullptr) {
    const RotationStatus status = source_.rotation->Status(now);
    phase = status.document.record.phase();
    problem = status.problem;
    *response.mutable_rotation() = ca::Describe(status);
  }
  if (!problem.ok()) response.set_problem(std::string(problem.message()));
  const std::shared_ptr<const Trust> trust = authority_.Current();
  bool root_signs = false;
  for (const x509::Certificate& root : trust->roots) {
    const Certificate::Role role = RoleOf(root, *trust, phase);
    root_signs = root_signs || role == Certificate::SIGNING;
    ca::Describe(root, role, true, response);
  }
  if (!root_signs) ca::Describe(trust->signer, Certificate::SIGNING, false, response);
  return response;
}

absl::StatusOr<v1::RotateRootResponse> AuthorityService::Rotate(absl::Time now) {
  if (source_.rotation == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the signing certificate is supplied by ", source_.name,
                     ": whoever issues it rotates it (cert-manager: cmctl renew), and it is taken "
                     "over at once"));
  }
  if (absl::Status begun = source_.rotation->Begin(now); !begun.ok()) return begun;
  v1::RotateRootResponse response;
  response.set_generation(source_.rotation->Status(now).document.record.generation());
  return response;
}

grpc::ServerUnaryReactor* AuthorityService::GetAuthority(grpc::CallbackServerContext* context,
                                                         const v1::GetAuthorityRequest* request,
                                                         v1::GetAuthorityResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status allowed = CheckOperator(*context, operator_token_);
  if (allowed.ok()) *response = Describe(absl::Now());
  reactor->Finish(ToGrpc(allowed));
  return reactor;
}

grpc::ServerUnaryReactor* AuthorityService::RotateRoot(grpc::CallbackServerContext* context,
                                                       const v1::RotateRootRequest* request,
                                                       v1::RotateRootResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status = CheckOperator(*context, operator_token_);
  if (status.ok()) {
    absl::StatusOr<v1::RotateRootResponse> begun = Rotate(absl::Now());
    status = begun.status();
    if (begun.ok()) *response = *std::move(begun);
  }
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace weft::ca
