#include "sidecar/upstream/h1_pool.h"

#include <algorithm>

namespace weft::upstream {
namespace {

using http::h1::ClientConnection;

constexpr io::Nanos kSweepInterval = 5 * io::kSecond;
// What a peer was seen to do is believed for so long.
constexpr io::Nanos kRemembered = 60 * io::kSecond;

}  // namespace

io::Task<absl::StatusOr<H1Pool::Lease>> H1Pool::Acquire(io::Nanos deadline, Reuse reuse) {
  std::shared_ptr<H1Pool> self = shared_from_this();
  const io::Nanos now = io::Reactor::Current()->now();
  if (now - seen_at_ > kRemembered) seen_to_close_ = io::kNever;
  while (reuse != Reuse::kNever && !idle_.empty()) {
    // The back has been idle for the shortest time: if it is too old, so are the others.
    const io::Nanos idle = now - idle_.back()->idle_since;
    if (reuse == Reuse::kCareful && idle >= seen_to_close_ / 2) break;
    std::unique_ptr<ClientConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (!connection->StillAlive()) {
      SawClosed(idle);
      continue;
    }
    connection->idle_for = idle;
    co_return Lease(std::move(self), std::move(connection), /*reused=*/true);
  }
  absl::StatusOr<std::unique_ptr<io::Stream>> stream = co_await connector_.Open(deadline);
  if (!stream.ok()) co_return stream.status();
  co_return Lease(std::move(self),
                  std::make_unique<ClientConnection>(*std::move(stream), options_.limits),
                  /*reused=*/false);
}

void H1Pool::SawClosed(io::Nanos idle) {
  seen_to_close_ = std::min(seen_to_close_, std::max<io::Nanos>(idle, 0));
  seen_at_ = io::Reactor::Current()->now();
}

void H1Pool::Return(std::unique_ptr<ClientConnection> connection, bool reused) {
  if (retired_ || !connection->reusable()) {
    // It was closed about when it was taken.
    if (reused && connection->failure() != http::ClientExchange::Failure::kNone) {
      SawClosed(connection->idle_for);
    }
    return;
  }
  connection->Renew();
  connection->idle_since = io::Reactor::Current()->now();
  if (idle_.size() >= options_.max_idle) idle_.erase(idle_.begin());
  idle_.push_back(std::move(connection));
  ArmSweep();
}

void H1Pool::ArmSweep() {
  if (armed() || idle_.empty()) return;
  io::Reactor* reactor = io::Reactor::Current();
  reactor->timers().Arm(this, reactor->now() + kSweepInterval);
}

io::Nanos H1Pool::IdleLimit(const ClientConnection& connection) const {
  if (connection.announced_idle_seconds() == 0) return options_.max_idle_time;
  // A second of margin, more than any way through one pod takes.
  const io::Nanos announced = connection.announced_idle_seconds() * io::kSecond;
  return std::min(options_.max_idle_time, std::max<io::Nanos>(announced - io::kSecond, 0));
}

void H1Pool::OnExpired() {
  const io::Nanos now = io::Reactor::Current()->now();
  std::erase_if(idle_, [&](const std::unique_ptr<ClientConnection>& connection) {
    const io::Nanos idle = now - connection->idle_since;
    if (idle > IdleLimit(*connection)) return true;
    if (connection->StillAlive()) return false;
    SawClosed(idle);
    return true;
  });
  ArmSweep();
}

void H1Pool::Retire() {
  retired_ = true;
  idle_.clear();
  Cancel();
}

}  // namespace weft::upstream
