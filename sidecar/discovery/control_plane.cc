#include "sidecar/discovery/control_plane.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/support/channel_arguments.h"
#include "sidecar/discovery/operation.h"
#include "sidecar/io/socket.h"
#include "sidecar/tls/stream.h"

namespace weft::discovery {
namespace {

// What one answer may be: thousands of resources at once after a reconnect.
constexpr int kMaxMessageBytes = 32 * 1024 * 1024;

// A peer that is gone without a word (a lost node, a firewall that forgot) is noticed within half a
// minute.
void NoticeDeadPeers(int fd) {
  const int one = 1;
  const int idle_seconds = 15;
  const int interval_seconds = 5;
  const int probes = 3;
  const int unacknowledged_ms = 30'000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // One stream that is mostly silent: no measuring of bandwidth, small fixed windows.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 256 * 1024);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

struct HostPort {
  std::string host;
  uint16_t port;
};

absl::StatusOr<HostPort> Split(std::string_view address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("control plane address \"", ToAbsl(address),
                                                   "\": ", ToAbsl(why),
                                                   "; expected host:port or [ip6]:port"));
  };
  if (colon == std::string_view::npos) return bad("no port");
  if (!absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) || port == 0 || port > 65535) {
    return bad("the port is no number from 1 to 65535");
  }
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  if (host.empty() || host.size() > 253) return bad("no host name");
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

}  // namespace

std::string ControlPlaneIdentity(std::string_view trust_domain) {
  return absl::StrCat("spiffe://", ToAbsl(trust_domain), "/ns/weft-system/sa/weft-control-plane");
}

Tunnel::Tunnel(std::shared_ptr<Relay> relay, std::shared_ptr<grpc::Channel> channel)
    : relay_(std::move(relay)), channel_(std::move(channel)) {}

Tunnel::~Tunnel() { relay_->Cut(); }

// The thread that asks gRPC what has completed; it also does gRPC's input and output while it
// waits.
class ControlPlane::Completions {
 public:
  explicit Completions(io::Reactor* reactor)
      : thread_([this, reactor] {
          void* tag = nullptr;
          bool ok = false;
          while (queue_.Next(&tag, &ok)) {
            reactor->Post(
                [operation = static_cast<Operation*>(tag), ok] { operation->Complete(ok); });
          }
        }) {}
  ~Completions() {
    queue_.Shutdown();
    thread_.join();
  }

  grpc::CompletionQueue* queue() { return &queue_; }

 private:
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Create(io::Reactor* reactor,
                                                                   std::string_view address,
                                                                   std::string identity) {
  absl::StatusOr<HostPort> where = Split(address);
  if (!where.ok()) return where.status();
  return std::unique_ptr<ControlPlane>(
      new ControlPlane(reactor, std::move(where->host), where->port, std::move(identity)));
}

ControlPlane::ControlPlane(io::Reactor* reactor, std::string host, uint16_t port,
                           std::string identity)
    : reactor_(reactor),
      host_(std::move(host)),
      port_(port),
      identity_(std::move(identity)),
      completions_(std::make_unique<Completions>(reactor)),
      resolver_(reactor) {}

ControlPlane::~ControlPlane() = default;

grpc::CompletionQueue* ControlPlane::completions() { return completions_->queue(); }

io::Task<absl::StatusOr<std::unique_ptr<tls::Stream>>> ControlPlane::Connect(
    std::shared_ptr<const tls::Context> context, io::Nanos deadline) {
  absl::StatusOr<std::vector<io::Address>> addresses =
      co_await resolver_.Resolve(host_, port_, deadline);
  if (!addresses.ok()) co_return addresses.status();
  absl::Status last = absl::UnavailableError(absl::StrCat("resolve ", host_, ": no address"));
  for (size_t i = 0; i < addresses->size(); ++i) {
    // An address that does not answer must leave time for the next.
    const io::Nanos now = io::MonotonicNow();
    const io::Nanos share =
        deadline == io::kNever
            ? io::kNever
            : now + (deadline - now) / static_cast<io::Nanos>(addresses->size() - i);
    absl::StatusOr<std::unique_ptr<io::Socket>> socket =
        co_await io::Connect((*addresses)[i], share);
    if (!socket.ok()) {
      last = socket.status();
      continue;
    }
    NoticeDeadPeers((*socket)->fd());
    absl::StatusOr<std::unique_ptr<tls::Stream>> stream =
        co_await tls::Connect(*std::move(socket), context, "h2", identity_, share);
    if (stream.ok()) co_return std::move(stream);
    last = absl::Status(stream.status().code(),
                        absl::StrCat((*addresses)[i].ToString(), ": ", stream.status().message()));
  }
  co_return last;
}

io::Task<absl::StatusOr<std::unique_ptr<Tunnel>>> ControlPlane::Dial(
    std::shared_ptr<const tls::Context> context, io::Nanos deadline) {
  absl::StatusOr<std::unique_ptr<tls::Stream>> far = co_await Connect(std::move(context), deadline);
  if (!far.ok()) co_return far.status();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
    co_return absl::ResourceExhaustedError(absl::StrCat("socketpair: ", std::strerror(errno)));
  }
  // From here gRPC owns pair[0], also when it fails.
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomInsecureChannelFromFd("weft-control-plane", pair[0], Arguments());
  std::unique_ptr<io::Socket> near = io::Socket::Adopt(pair[1]);
  if (near == nullptr) co_return absl::ResourceExhaustedError("the reactor can watch no more");
  const auto relay = std::make_shared<Relay>(std::move(near), *std::move(far));
  relay->Start();
  co_return std::unique_ptr<Tunnel>(new Tunnel(relay, std::move(channel)));
}

}  // namespace weft::discovery
