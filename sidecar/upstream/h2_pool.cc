#include "sidecar/upstream/h2_pool.h"

#include <algorithm>

namespace weft::upstream {

using http::h2::ClientSession;

ClientSession* H2Pool::FindOpenable() {
  const tls::Context* current = connector_.current_identity();
  ClientSession* best = nullptr;
  bool best_is_current = false;
  for (const Connection& connection : connections_) {
    if (!connection.session->CanOpen()) continue;
    const bool is_current = connection.identity == current;
    // The fullest that has room: the others fall idle and close.
    const bool better = best == nullptr || (is_current && !best_is_current) ||
                        (is_current == best_is_current &&
                         connection.session->active() < options_.streams_per_connection &&
                         (best->active() >= options_.streams_per_connection ||
                          connection.session->active() > best->active()));
    if (better) {
      best = connection.session;
      best_is_current = is_current;
    }
  }
  // Meanwhile what there is serves: an outdated certificate is still a valid one.
  if (best == nullptr || !best_is_current || best->active() >= options_.streams_per_connection) {
    MaybeConnect();
  }
  return best;
}

void H2Pool::MaybeConnect() {
  const tls::Context* current = connector_.current_identity();
  const auto usable = std::ranges::count_if(connections_, [&](const Connection& connection) {
    return connection.identity == current && connection.session->CanOpen();
  });
  if (connecting_ || retired_ || static_cast<size_t>(usable) >= options_.max_connections) return;
  connecting_ = true;
  io::Spawn(ConnectOne(shared_from_this()));
}

io::Task<void> H2Pool::ConnectOne(std::shared_ptr<H2Pool> pool) {
  std::shared_ptr<const tls::Context> identity;
  if (pool->connector_.mesh()) identity = pool->connector_.identity();
  const io::Nanos deadline = io::Reactor::Current()->now() + pool->options_.connect_timeout;
  absl::StatusOr<std::unique_ptr<io::Stream>> stream = co_await pool->connector_.Open(deadline);
  pool->connecting_ = false;
  ++pool->attempts_;
  pool->last_attempt_ = stream.status();
  if (stream.ok()) {
    std::unique_ptr<ClientSession> session =
        ClientSession::Create(*std::move(stream), pool->options_.limits);
    for (const Connection& other : pool->connections_) {
      if (other.identity != identity.get()) other.session->Drain();
    }
    pool->connections_.push_back({.session = session.get(), .identity = identity.get()});
    session->set_on_change([weak = std::weak_ptr<H2Pool>(pool)] {
      if (const std::shared_ptr<H2Pool> alive = weak.lock()) alive->WakeAll();
    });
    if (pool->retired_) session->Drain();
    io::Spawn(Hold(pool, std::move(session), std::move(identity)));
  }
  pool->WakeAll();
}

io::Task<void> H2Pool::Hold(std::shared_ptr<H2Pool> pool, std::unique_ptr<ClientSession> session,
                            std::shared_ptr<const tls::Context> /*identity*/) {
  co_await session->Run();
  std::erase_if(pool->connections_,
                [&](const Connection& c) { return c.session == session.get(); });
  pool->WakeAll();
}

void H2Pool::WakeAll() {
  for (Waiter* waiter = waiters_; waiter != nullptr; waiter = waiter->next) waiter->woken.Notify();
}

io::Task<absl::StatusOr<std::unique_ptr<http::ClientExchange>>> H2Pool::Acquire(
    io::Nanos deadline) {
  const std::shared_ptr<H2Pool> self = shared_from_this();
  // A failure from now on is this request's failure too.
  const uint64_t attempts_before = attempts_;
  for (;;) {
    if (ClientSession* session = FindOpenable(); session != nullptr) {
      if (std::unique_ptr<http::ClientExchange> exchange = session->Open(); exchange != nullptr) {
        co_return exchange;
      }
    }
    if (retired_) co_return absl::UnavailableError("the endpoint is gone");
    if (attempts_ != attempts_before && !last_attempt_.ok()) co_return last_attempt_;
    MaybeConnect();
    Waiter waiter;
    waiter.next = waiters_;
    waiters_ = &waiter;
    const io::Event* woken = co_await Wait(waiter.woken, deadline);
    for (Waiter** at = &waiters_; *at != nullptr; at = &(*at)->next) {
      if (*at == &waiter) {
        *at = waiter.next;
        break;
      }
    }
    if (woken == nullptr) {
      co_return absl::DeadlineExceededError("no connection to the endpoint in time");
    }
  }
}

void H2Pool::Retire() {
  retired_ = true;
  for (const Connection& connection : connections_) connection.session->Drain();
  WakeAll();
}

}  // namespace weft::upstream
