#include "tools/meshctl/control_plane.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
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
#include "tools/meshctl/cluster_control_plane.h"

namespace weft::meshctl {
namespace {

constexpr std::chrono::seconds kDeadline(10);
constexpr int kMaxAnswerBytes = 256 * 1024 * 1024;
constexpr std::string_view kRootFile = "root.pem";
constexpr char kDefaultAddress[] = "127.0.0.1:15012";
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

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address, const std::string& root_pem) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = root_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kServerName);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // A command's life is too short for reconnecting.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments);
}

// gRPC tells a failed verification from a failed connection only in words.
bool IsForeignServer(const std::string& message) {
  const std::string lower = absl::AsciiStrToLower(message);
  return absl::StrContains(lower, "certificate verify failed") ||
         absl::StrContains(lower, "certificate_verify_failed") ||
         absl::StrContains(lower, "peer name") || absl::StrContains(lower, "not trusted");
}

}  // namespace

absl::StatusOr<ControlPlane> ControlPlane::Open(const Options& options) {
  return options.InCluster() ? OpenInCluster(options) : OpenDirectly(options);
}

absl::StatusOr<ControlPlane> ControlPlane::OpenDirectly(const Options& options) {
  if (options.state.empty()) {
    return absl::InvalidArgumentError(
        "--state DIR (or WEFT_STATE) is needed with --control-plane: the control plane's state "
        "directory, with root.pem and operator-token");
  }
  absl::StatusOr<std::string> root = ReadRoot(absl::StrCat(options.state, "/", ToAbsl(kRootFile)));
  if (!root.ok()) return root.status();
  absl::StatusOr<ca::StateDirectory> state = ca::StateDirectory::Open(options.state);
  if (!state.ok()) return state.status();
  absl::StatusOr<std::string> token = ca::ReadOperatorToken(*state);
  if (!token.ok()) return token.status();
  ControlPlane opened;
  opened.name_ = options.control_plane.empty() ? kDefaultAddress : options.control_plane;
  opened.replicas_.push_back({opened.name_, ChannelTo(opened.name_, *root)});
  opened.token_ = *std::move(token);
  opened.root_source_ = absl::StrCat(options.state, "/", ToAbsl(kRootFile));
  opened.token_source_ = absl::StrCat(options.state, "/", ToAbsl(ca::kOperatorTokenFile));
  opened.remedy_ =
      "is --control-plane (or WEFT_CONTROL_PLANE) right, and --state its state directory?";
  return opened;
}

absl::StatusOr<ControlPlane> ControlPlane::OpenInCluster(const Options& options) {
  const absl::StatusOr<Cluster> cluster = Cluster::Open(options);
  if (!cluster.ok()) return cluster.status();
  absl::StatusOr<ClusterControlPlane> reached = ReachControlPlane(*cluster);
  if (!reached.ok()) return reached.status();
  ControlPlane opened;
  opened.name_ = absl::StrCat("namespace ", cluster->mesh_namespace(), " of ", cluster->Name());
  for (const ForwardedReplica& replica : reached->replicas) {
    opened.replicas_.push_back(
        {absl::StrCat("pod ", replica.pod), ChannelTo(replica.address, reached->root_pem)});
  }
  opened.token_ = reached->operator_token;
  opened.root_source_ = absl::StrCat("ConfigMap ", kRootConfigMap);
  opened.token_source_ = absl::StrCat("Secret ", kOperatorSecret);
  opened.remedy_ = "\"meshctl check\" tells more";
  opened.cluster_ = std::make_shared<const ClusterControlPlane>(*std::move(reached));
  return opened;
}

void ControlPlane::Gather(const v1::ListProxiesResponse& from, v1::ListProxiesResponse& to) {
  to.MergeFrom(from);
  std::sort(to.mutable_proxies()->begin(), to.mutable_proxies()->end(),
            [](const v1::Proxy& a, const v1::Proxy& b) { return a.id() < b.id(); });
}

void ControlPlane::Gather(const v1::GetStatusResponse& from, v1::GetStatusResponse& to) {
  to.set_connected_proxies(to.connected_proxies() + from.connected_proxies());
}

void ControlPlane::WarnOfMissing(const absl::Status& status) {
  std::cerr << "meshctl: the sidecars of one replica are missing here: " << status.message()
            << "\n";
}

void ControlPlane::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
}

absl::Status ControlPlane::Explain(const Replica& replica, const grpc::Status& status) const {
  const std::string& message = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      if (IsForeignServer(message)) {
        return absl::UnavailableError(absl::StrCat("the server at ", replica.address,
                                                   " does not chain to the root in ", root_source_,
                                                   ": ", remedy_, " (", message, ")"));
      }
      return absl::UnavailableError(absl::StrCat("cannot reach the control plane at ",
                                                 replica.address, ": is it running? ", remedy_,
                                                 " (", message, ")"));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::DeadlineExceededError(absl::StrCat("the control plane at ", replica.address,
                                                      " did not answer within ", kDeadline.count(),
                                                      " seconds: is it reachable from here?"));
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::UnauthenticatedError(
          absl::StrCat("the control plane at ", replica.address, " does not accept the token in ",
                       token_source_, ": ", remedy_, " (", message, ")"));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::UnimplementedError(absl::StrCat("the control plane at ", replica.address,
                                                   " does not know this question: is it older than "
                                                   "this meshctl? (",
                                                   message, ")"));
    default:
      return {static_cast<absl::StatusCode>(status.error_code()), message};
  }
}

}  // namespace weft::meshctl
