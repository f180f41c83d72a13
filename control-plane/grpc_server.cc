#include "control-plane/grpc_server.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "grpcpp/server_builder.h"

namespace weft {
namespace {

constexpr std::string_view kAllIpv6 = "[::]:";
constexpr int kMaxRequestBytes = 4 * 1024 * 1024;
constexpr int kMaxMetadataBytes = 32 * 1024;  // a service-account token is among it
constexpr int kMaxConcurrentStreams = 128;    // of one connection
constexpr int kHandshakeMs = 30'000;          // a whole fleet may come back at once
constexpr int kPingMs = 30'000;
constexpr int kPingTimeoutMs = 10'000;
constexpr int kMinClientPingMs = 5'000;

std::unique_ptr<grpc::Server> Build(const std::string& address,
                                    std::shared_ptr<grpc::ServerCredentials> credentials,
                                    const std::vector<grpc::Service*>& services, int& port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, std::move(credentials), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // Two control planes on one port would each see half of the mesh.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  // A peer that vanished without a word is found out by its silence.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingMs);
  return builder.BuildAndStart();
}

}  // namespace

GrpcServer::GrpcServer(std::unique_ptr<grpc::Server> server, int port)
    : server_(std::move(server)), port_(port) {}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    std::string_view address, std::shared_ptr<grpc::ServerCredentials> credentials,
    const std::vector<grpc::Service*>& services) {
  int port = 0;
  std::string bound(address);
  std::unique_ptr<grpc::Server> server = Build(bound, credentials, services, port);
  if (server == nullptr && address.starts_with(kAllIpv6)) {
    bound = absl::StrCat("0.0.0.0:", ToAbsl(address.substr(kAllIpv6.size())));
    server = Build(bound, std::move(credentials), services, port);
  }
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", ToAbsl(address),
                                               ": is the address malformed, or the port taken?"));
  }
  WEFT_LOG_INFO("gRPC listens on {} port {}", bound, port);
  return absl::WrapUnique(new GrpcServer(std::move(server), port));
}

void GrpcServer::Shutdown(absl::Duration grace) {
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

}  // namespace weft
