#include "tools/meshctl/control_plane.h"

#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/x509_certificate.h"
#include "control-plane/ca/operator_token.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace weft::meshctl {
namespace {

constexpr std::chrono::seconds kDeadline(10);
constexpr int kMaxAnswerBytes = 256 * 1024 * 1024;
constexpr std::string_view kRootFile = "root.pem";
// A DNS name in the control plane's certificate and in no other of the mesh.
constexpr char kServerName[] = "weft-control-plane";

absl::StatusOr<std::string> ReadRoot(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, ": is --state the control plane's state directory?"));
  }
  std::string pem(x509::kMaxBundleBytes + 1, '\0');
  file.read(pem.data(), static_cast<std::streamsize>(pem.size()));
  pem.resize(static_cast<size_t>(file.gcount()));
  if (absl::Status parsed = x509::Certificate::ListFromPem(pem).status(); !parsed.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", parsed.message()));
  }
  return pem;
}

// gRPC tells a failed verification from a failed connection only in words.
bool IsForeignServer(const std::string& message) {
  const std::string lower = absl::AsciiStrToLower(message);
  return absl::StrContains(lower, "certificate verify failed") ||
         absl::StrContains(lower, "certificate_verify_failed") ||
         absl::StrContains(lower, "peer name") || absl::StrContains(lower, "not trusted");
}

}  // namespace

ControlPlane::ControlPlane(const Options& options, std::string token,
                           std::shared_ptr<v1::InspectService::Stub> stub)
    : address_(options.control_plane),
      state_(options.state),
      token_(std::move(token)),
      stub_(std::move(stub)) {}

absl::StatusOr<ControlPlane> ControlPlane::Open(const Options& options) {
  if (options.state.empty()) {
    return absl::InvalidArgumentError(
        "--state DIR (or WEFT_STATE) is needed: the control plane's state directory, with root.pem "
        "and operator-token");
  }
  absl::StatusOr<std::string> root = ReadRoot(absl::StrCat(options.state, "/", ToAbsl(kRootFile)));
  if (!root.ok()) return root.status();
  absl::StatusOr<ca::StateDirectory> state = ca::StateDirectory::Open(options.state);
  if (!state.ok()) return state.status();
  absl::StatusOr<std::string> token = ca::ReadOperatorToken(*state);
  if (!token.ok()) return token.status();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = *root;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kServerName);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // A command's life is too short for reconnecting.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return ControlPlane(options, *std::move(token),
                      v1::InspectService::NewStub(grpc::CreateCustomChannel(
                          options.control_plane, grpc::SslCredentials(tls), arguments)));
}

void ControlPlane::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
}

absl::Status ControlPlane::Explain(const grpc::Status& status) const {
  const std::string& message = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      if (IsForeignServer(message)) {
        return absl::UnavailableError(absl::StrCat(
            "the server at ", address_, " does not chain to the root in ", state_, "/",
            ToAbsl(kRootFile),
            ": is --state of another mesh, or --control-plane not its address? (", message, ")"));
      }
      return absl::UnavailableError(
          absl::StrCat("cannot reach the control plane at ", address_,
                       ": is it running, and is --control-plane (or WEFT_CONTROL_PLANE) right? (",
                       message, ")"));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::DeadlineExceededError(absl::StrCat("the control plane at ", address_,
                                                      " did not answer within ", kDeadline.count(),
                                                      " seconds: is it reachable from here?"));
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::UnauthenticatedError(absl::StrCat(
          "the control plane at ", address_, " does not accept the token in ", state_, "/",
          ToAbsl(ca::kOperatorTokenFile), ": is --state its state directory? (", message, ")"));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::UnimplementedError(absl::StrCat("the control plane at ", address_,
                                                   " does not know this question: is it older than "
                                                   "this meshctl? (",
                                                   message, ")"));
    default:
      return {static_cast<absl::StatusCode>(status.error_code()), message};
  }
}

}  // namespace weft::meshctl
