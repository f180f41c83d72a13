#include "injector/webhook/signer.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "weft/v1/certificate.grpc.pb.h"

namespace weft::webhook {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr size_t kMaxFileBytes = 256 * 1024;

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(kMaxFileBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad() || (!file && file.gcount() == 0 && !file.eof())) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  }
  content.resize(static_cast<size_t>(file.gcount()));
  if (content.size() > kMaxFileBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": larger than 256 KiB"));
  }
  return content;
}

absl::StatusOr<Signed> ControlPlaneSigner::Sign(const std::string& request_pem) {
  absl::StatusOr<std::string> roots = ReadSmallFile(options_.trust_bundle_file);
  if (!roots.ok()) return roots.status();
  absl::StatusOr<std::string> token = ReadSmallFile(options_.token_file);
  if (!token.ok()) return token.status();

  const std::shared_ptr<grpc::Channel> channel = grpc::CreateChannel(
      options_.control_plane,
      grpc::SslCredentials(
          {.pem_root_certs = *roots, .pem_private_key = {}, .pem_cert_chain = {}}));
  const auto stub = v1::CertificateService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTimeout));
  context.AddMetadata("authorization", absl::StrCat("Bearer ", absl::StripAsciiWhitespace(*token)));
  v1::SignRequest request;
  request.set_csr_pem(request_pem);
  request.set_workload(options_.workload);
  v1::SignResponse response;
  const grpc::Status status = stub->Sign(&context, request, &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat("the control plane at ", options_.control_plane, ": ",
                                     status.error_message()));
  }
  Signed signed_chain;
  for (const std::string& certificate : response.chain_pem()) {
    absl::StrAppend(&signed_chain.chain_pem, certificate);
  }
  signed_chain.roots_pem.assign(response.roots_pem().begin(), response.roots_pem().end());
  return signed_chain;
}

}  // namespace weft::webhook
