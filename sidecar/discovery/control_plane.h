// The way to the control plane: TCP, our own mutual TLS, and inside it gRPC without TLS of its own.
#ifndef WEFT_SIDECAR_DISCOVERY_CONTROL_PLANE_H_
#define WEFT_SIDECAR_DISCOVERY_CONTROL_PLANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"
#include "sidecar/discovery/relay.h"
#include "sidecar/discovery/resolver.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/tls/context.h"
#include "sidecar/tls/stream.h"

namespace weft::discovery {

// One connection to the control plane. The bytes of `channel` run through a socket pair and a TLS
// stream, relayed on the main reactor with bounded buffers. Destroying it cuts the connection.
class Tunnel {
 public:
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  ~Tunnel();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  friend class ControlPlane;
  Tunnel(std::shared_ptr<Relay> relay, std::shared_ptr<grpc::Channel> channel);

  std::shared_ptr<Relay> relay_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Belongs to the main reactor; made on its thread. Runs one thread of its own, which waits for
// gRPC's completions and posts them to the reactor.
class ControlPlane {
 public:
  // "host:port" or "[ip6]:port". `identity` is the SPIFFE ID that it must prove. InvalidArgument
  // for an address that is none.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Create(io::Reactor* reactor,
                                                              std::string_view address,
                                                              std::string identity);
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;
  // All calls on its tunnels have ended.
  ~ControlPlane();

  // Resolves (off the reactor), connects to the first address that answers, and shakes hands.
  // Errors: Unavailable, DeadlineExceeded, Unauthenticated (it is not who it should be).
  io::Task<absl::StatusOr<std::unique_ptr<Tunnel>>> Dial(
      std::shared_ptr<const tls::Context> context, io::Nanos deadline);

  // For the asynchronous calls on a tunnel's channel; its tags are Operations.
  grpc::CompletionQueue* completions();

  io::Reactor* reactor() const { return reactor_; }

 private:
  class Completions;
  ControlPlane(io::Reactor* reactor, std::string host, uint16_t port, std::string identity);
  io::Task<absl::StatusOr<std::unique_ptr<tls::Stream>>> Connect(
      std::shared_ptr<const tls::Context> context, io::Nanos deadline);

  io::Reactor* const reactor_;
  const std::string host_;
  const uint16_t port_;
  const std::string identity_;
  std::unique_ptr<Completions> completions_;
  Resolver resolver_;
};

// The SPIFFE ID of the control plane of a trust domain.
std::string ControlPlaneIdentity(std::string_view trust_domain);

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_CONTROL_PLANE_H_
