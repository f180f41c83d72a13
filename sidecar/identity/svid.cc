#include "sidecar/identity/svid.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_unary_call.h"
#include "openssl/evp.h"
#include "sidecar/discovery/operation.h"
#include "weft/v1/certificate.grpc.pb.h"

namespace weft::identity {
namespace {

constexpr int kMaxChain = 8;
constexpr int kMaxRoots = 64;

absl::Status Bad(std::string_view what) {
  return absl::InternalError(absl::StrCat("the control plane's certificate answer: ",
                                          absl::string_view(what.data(), what.size())));
}

absl::Status Bad(std::string_view what, const absl::Status& why) {
  return Bad(absl::StrCat(absl::string_view(what.data(), what.size()), ": ", why.message()));
}

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("certificate request: ", status.error_message()));
}

absl::StatusOr<std::vector<x509::Certificate>> ParseAll(
    const google::protobuf::RepeatedPtrField<std::string>& pems, std::string_view field,
    int limit) {
  if (pems.empty())
    return Bad(absl::StrCat(absl::string_view(field.data(), field.size()), " is empty"));
  if (pems.size() > limit) {
    return Bad(absl::StrCat(absl::string_view(field.data(), field.size()), " has ", pems.size(),
                            " entries, more than ", limit));
  }
  std::vector<x509::Certificate> certificates;
  for (const std::string& pem : pems) {
    absl::StatusOr<x509::Certificate> certificate = x509::Certificate::FromPem(pem);
    if (!certificate.ok()) return Bad(field, certificate.status());
    certificates.push_back(*std::move(certificate));
  }
  return certificates;
}

}  // namespace

absl::StatusOr<Svid> CheckAnswer(x509::PrivateKey key, const weft::v1::SignResponse& answer,
                                 const Expected& expected, absl::Time now) {
  absl::StatusOr<std::vector<x509::Certificate>> chain =
      ParseAll(answer.chain_pem(), "chain_pem", kMaxChain);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<std::vector<x509::Certificate>> roots =
      ParseAll(answer.roots_pem(), "roots_pem", kMaxRoots);
  if (!roots.ok()) return roots.status();
  const x509::Certificate& leaf = chain->front();
  if (!leaf.BelongsTo(key)) return Bad("the certificate is for another key");
  absl::StatusOr<SpiffeId> id = leaf.Identity();
  if (!id.ok()) return Bad("the certificate", id.status());
  if (id->trust_domain != expected.trust_domain || id->name_space != expected.name_space ||
      (!expected.service_account.empty() && id->service_account != expected.service_account)) {
    return Bad(absl::StrCat("the certificate names ", id->ToString(), ", expected spiffe://",
                            expected.trust_domain, "/ns/", expected.name_space, "/sa/",
                            expected.service_account.empty() ? "..." : expected.service_account));
  }
  const std::vector<x509::Certificate> intermediates(chain->begin() + 1, chain->end());
  if (const absl::Status valid = x509::VerifyChain(leaf, intermediates, *roots, now); !valid.ok()) {
    return Bad("the certificate", valid);
  }
  return Svid{.key = std::move(key),
              .chain = *std::move(chain),
              .chain_pem = {answer.chain_pem().begin(), answer.chain_pem().end()},
              .roots_pem = {answer.roots_pem().begin(), answer.roots_pem().end()},
              .id = *std::move(id)};
}

io::Task<absl::StatusOr<Svid>> ObtainSvid(discovery::ControlPlane* control_plane,
                                          std::string workload, Expected expected,
                                          Credential credential, io::Nanos deadline) {
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) co_return key.status();
  // The CA knows whom it signs for; a request has to name somebody all the same.
  absl::StatusOr<std::string> request_pem = x509::CreateRequest(
      *key, SpiffeId{.trust_domain = expected.trust_domain,
                     .name_space = expected.name_space,
                     .service_account =
                         expected.service_account.empty() ? "default" : expected.service_account});
  if (!request_pem.ok()) co_return request_pem.status();

  absl::StatusOr<std::unique_ptr<discovery::Tunnel>> tunnel =
      co_await control_plane->Dial(credential.context, deadline);
  if (!tunnel.ok()) co_return tunnel.status();

  weft::v1::SignRequest request;
  request.set_csr_pem(*std::move(request_pem));
  request.set_workload(std::move(workload));
  weft::v1::SignResponse answer;
  grpc::Status outcome;
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() +
                    std::chrono::nanoseconds(deadline - io::MonotonicNow()));
  if (!credential.token.empty()) {
    call.AddMetadata("authorization", absl::StrCat("Bearer ", credential.token));
  }
  const auto stub = weft::v1::CertificateService::NewStub((*tunnel)->channel());
  const auto reader = stub->AsyncSign(&call, request, control_plane->completions());
  discovery::Operation finished;
  reader->Finish(&answer, &outcome, finished.tag());
  co_await finished.Done();
  if (!outcome.ok()) co_return FromGrpc(outcome);
  co_return CheckAnswer(*std::move(key), answer, expected, absl::Now());
}

absl::StatusOr<std::shared_ptr<const tls::Context>> MakeContext(
    const Svid& svid, const std::vector<std::string>& roots,
    const std::vector<std::string>& extra_roots) {
  tls::Credentials credentials;
  credentials.chain_pem = svid.chain_pem;
  credentials.key = bssl::UpRef(svid.key.get());
  credentials.roots_pem = roots;
  credentials.roots_pem.insert(credentials.roots_pem.end(), extra_roots.begin(), extra_roots.end());
  credentials.trust_domain = svid.id.trust_domain;
  return tls::Context::Create(credentials);
}

}  // namespace weft::identity
