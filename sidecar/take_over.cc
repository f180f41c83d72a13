#include "sidecar/take_over.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/strings.h"
#include "sidecar/io/event.h"

namespace weft {
namespace {

using proxy::Direction;
using replace::Role;

constexpr io::Nanos kLookAgain = 10 * io::kMillisecond;

Role RoleOf(Direction direction) {
  return direction == Direction::kOutbound ? Role::kOutbound : Role::kInbound;
}

// Of a sidecar that starts from nothing.
absl::StatusOr<std::unique_ptr<replace::ChannelListener>> ClaimName(const std::string& name) {
  absl::StatusOr<std::unique_ptr<replace::ChannelListener>> listener =
      replace::ChannelListener::Open(name);
  if (listener.ok() || !absl::IsAlreadyExists(listener.status())) return listener;
  const absl::Status holder = replace::Channel::Connect(name).status();
  if (absl::IsPermissionDenied(holder)) {
    WEFT_LOG_WARN("this sidecar cannot be replaced in place: its name is taken, and {}",
                  ToStd(holder.message()));
    return std::unique_ptr<replace::ChannelListener>();
  }
  return absl::AlreadyExistsError(
      "a sidecar runs in this pod already; --replace takes over from it");
}

}  // namespace

io::Task<absl::StatusOr<Start>> MeetPredecessor(const Flags& flags) {
  const std::string name = replace::ChannelName(flags.inbound_port);
  Start start;
  if (flags.replace) {
    absl::StatusOr<std::unique_ptr<replace::Predecessor>> predecessor =
        co_await replace::Predecessor::Meet(name);
    if (!predecessor.ok() && !absl::IsNotFound(predecessor.status())) {
      co_return absl::Status(predecessor.status().code(),
                             absl::StrCat("--replace: ", predecessor.status().message()));
    }
    if (predecessor.ok()) {
      start.predecessor = *std::move(predecessor);
      start.inherited = std::move(start.predecessor->sockets());
      absl::StatusOr<std::unique_ptr<replace::ChannelListener>> listener =
          replace::ChannelListener::Adopt(start.inherited.Take(Role::kSuccessor));
      if (!listener.ok()) co_return listener.status();
      start.listener = *std::move(listener);
      co_return start;
    }
  }
  absl::StatusOr<std::unique_ptr<replace::ChannelListener>> listener = ClaimName(name);
  if (!listener.ok()) co_return listener.status();
  start.listener = *std::move(listener);
  co_return start;
}

absl::Status Listen(const Workers& workers, const proxy::Listeners& listeners,
                    replace::InheritedSockets& inherited) {
  const auto take = [&inherited](Direction direction, const io::Address& address) {
    return inherited.Take(RoleOf(direction), address).Release();
  };
  for (const std::unique_ptr<proxy::Worker>& worker : workers) {
    if (absl::Status listening = worker->Listen(listeners, take); !listening.ok()) return listening;
  }
  // The predecessor had more workers: the kernel goes on sharing connections out to all sockets.
  size_t next = 0;
  for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
    for (const io::Address& address :
         direction == Direction::kOutbound ? listeners.outbound : listeners.inbound) {
      for (int fd = take(direction, address); fd >= 0; fd = take(direction, address)) {
        absl::Status adopted = workers[next++ % workers.size()]->AdoptListener(direction, fd);
        if (!adopted.ok()) return adopted;
      }
    }
  }
  if (const replace::InheritedSockets::Entry* left = inherited.first(); left != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("--replace: the running sidecar listens on ", left->address.ToString(), " (",
                     ToAbsl(replace::NameOf(left->role)),
                     "), this one would not; start it with the same addresses"));
  }
  return absl::OkStatus();
}

std::vector<std::pair<Role, int>> ListeningSockets(const Workers& workers) {
  std::vector<std::pair<Role, int>> sockets;
  for (const std::unique_ptr<proxy::Worker>& worker : workers) {
    for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
      for (const int fd : worker->listeners(direction)) sockets.emplace_back(RoleOf(direction), fd);
    }
  }
  return sockets;
}

io::Task<absl::Status> TakeOver(replace::Predecessor& predecessor,
                                const admin::Readiness& readiness, io::Nanos timeout,
                                const std::function<void()>& accept) {
  const io::Nanos deadline = io::MonotonicNow() + timeout;
  for (std::string missing = readiness.Missing(); !missing.empty(); missing = readiness.Missing()) {
    if (readiness.draining() || io::MonotonicNow() >= deadline) {
      co_return absl::DeadlineExceededError(
          absl::StrCat("--replace: not ready after ",
                       absl::FormatDuration(absl::Nanoseconds(timeout)), ": ", missing));
    }
    co_await io::Sleep(io::MonotonicNow() + kLookAgain);
  }
  absl::Status status = co_await predecessor.AnnounceReady();
  if (absl::IsUnavailable(status)) {
    // Nobody but this process has the sockets now.
    WEFT_LOG_WARN("the sidecar that ran here died before it could hand over");
    accept();
    co_return absl::OkStatus();
  }
  if (status.ok()) {
    accept();
    status = co_await predecessor.AnnounceAccepting();
  }
  if (!status.ok()) {
    co_return absl::Status(status.code(), absl::StrCat("--replace: ", status.message()));
  }
  WEFT_LOG_INFO("took over from the sidecar that ran here");
  co_return absl::OkStatus();
}

io::Task<void> TakeConnections(std::unique_ptr<replace::Predecessor> predecessor,
                               const Workers& workers) {
  size_t next = 0;
  size_t taken = 0;
  for (;;) {
    absl::StatusOr<replace::Predecessor::Connections> connections =
        co_await predecessor->NextConnections();
    if (absl::IsUnavailable(connections.status())) break;
    if (!connections.ok()) {
      WEFT_LOG_WARN("idle connections of the predecessor are lost: {}",
                    ToStd(connections.status().message()));
      continue;
    }
    const Direction direction =
        connections->role == Role::kOutbound ? Direction::kOutbound : Direction::kInbound;
    for (replace::Descriptor& connection : connections->descriptors) {
      proxy::Worker* worker = workers[next++ % workers.size()].get();
      worker->reactor.Post(
          [worker, direction, fd = connection.Release()] { worker->Adopt(direction, fd); });
      ++taken;
    }
  }
  WEFT_LOG_INFO("the predecessor has ended; {} idle connections of its go on here", taken);
}

}  // namespace weft
