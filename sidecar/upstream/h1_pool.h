// Idle HTTP/1 connections to one address.
#ifndef WEFT_SIDECAR_UPSTREAM_H1_POOL_H_
#define WEFT_SIDECAR_UPSTREAM_H1_POOL_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/http/h1/client_connection.h"
#include "sidecar/io/task.h"
#include "sidecar/io/timer.h"
#include "sidecar/upstream/connector.h"

namespace weft::upstream {

// Which connections may carry a request.
enum class Reuse : uint8_t {
  kAny,      // whatever is alive: a request that can be repeated
  kCareful,  // none that the peer, as it has been seen to, may be closing at this moment
  kNever,    // a new one
};

struct H1PoolOptions {
  size_t max_idle = 128;
  // Shorter than servers' usual 60 to 75 s: the side that closes first decides who loses the race.
  io::Nanos max_idle_time = 50 * io::kSecond;
  http::h1::Limits limits;
};

// Keeps connections for reuse, the most recently used first, and closes what has been idle for too
// long: longer than the option, or than the peer has announced. Remembers for a while after how
// much idle time the peer has closed connections by itself. One thread; make with std::make_shared.
class H1Pool : public std::enable_shared_from_this<H1Pool>, private io::Timer {
 public:
  H1Pool(Connector connector, const H1PoolOptions& options)
      : connector_(std::move(connector)), options_(options) {}
  ~H1Pool() override = default;

  // A connection for one exchange; goes back to its pool, or is closed, when destroyed.
  class Lease {
   public:
    Lease(std::shared_ptr<H1Pool> pool, std::unique_ptr<http::h1::ClientConnection> connection,
          bool reused)
        : pool_(std::move(pool)), connection_(std::move(connection)), reused_(reused) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = default;
    ~Lease() {
      if (connection_ != nullptr) pool_->Return(std::move(connection_), reused_);
    }
    http::h1::ClientConnection* connection() const { return connection_.get(); }
    // It has carried an exchange before, so its peer may be closing it at this moment.
    bool reused() const { return reused_; }

   private:
    std::shared_ptr<H1Pool> pool_;
    std::unique_ptr<http::h1::ClientConnection> connection_;
    bool reused_;
  };

  // An idle connection that is still alive and may be used, else a new one. Errors: as
  // Connector::Open.
  io::Task<absl::StatusOr<Lease>> Acquire(io::Nanos deadline, Reuse reuse);

  // Closes what is idle; what is in use is closed when it comes back.
  void Retire();

  size_t idle() const { return idle_.size(); }

 private:
  void Return(std::unique_ptr<http::h1::ClientConnection> connection, bool reused);
  void SawClosed(io::Nanos idle);
  void OnExpired() override;
  io::Nanos IdleLimit(const http::h1::ClientConnection& connection) const;
  void ArmSweep();

  const Connector connector_;
  const H1PoolOptions options_;
  std::vector<std::unique_ptr<http::h1::ClientConnection>> idle_;  // least recently used first
  // The shortest idle time after which the peer was seen to have closed, lately.
  io::Nanos seen_to_close_ = io::kNever;
  io::Nanos seen_at_ = 0;
  bool retired_ = false;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_H1_POOL_H_
