// A few HTTP/2 connections to one address, shared by many requests.
#ifndef WEFT_SIDECAR_UPSTREAM_H2_POOL_H_
#define WEFT_SIDECAR_UPSTREAM_H2_POOL_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/message.h"
#include "sidecar/io/task.h"
#include "sidecar/upstream/connector.h"

namespace weft::upstream {

struct H2PoolOptions {
  // Streams on each connection before another one is opened, and how many of those at most.
  // Requests that share a connection share its records and system calls; several keep one lost
  // packet from stopping all.
  size_t streams_per_connection = 256;
  size_t max_connections = 4;
  io::Nanos connect_timeout = 5 * io::kSecond;
  http::h2::Limits limits;
};

// Opens connections as requests need them; while one is being opened, all who need it wait for that
// one. When the worker's certificate has been renewed, a connection that shows the old one is
// replaced by the next request and drained. One thread; make with std::make_shared.
class H2Pool : public std::enable_shared_from_this<H2Pool> {
 public:
  H2Pool(Connector connector, const H2PoolOptions& options)
      : connector_(std::move(connector)), options_(options) {}
  H2Pool(const H2Pool&) = delete;
  H2Pool& operator=(const H2Pool&) = delete;

  // An exchange on a connection. Errors: as Connector::Open; DeadlineExceeded.
  io::Task<absl::StatusOr<std::unique_ptr<http::ClientExchange>>> Acquire(io::Nanos deadline);

  // No new exchanges; connections end when they are done.
  void Retire();

  size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    http::h2::ClientSession* session;
    const tls::Context* identity;
  };
  struct Waiter {
    io::Event woken;
    Waiter* next = nullptr;
  };

  http::h2::ClientSession* FindOpenable();
  void MaybeConnect();
  static io::Task<void> ConnectOne(std::shared_ptr<H2Pool> pool);
  static io::Task<void> Hold(std::shared_ptr<H2Pool> pool,
                             std::unique_ptr<http::h2::ClientSession> session,
                             std::shared_ptr<const tls::Context> identity);
  void WakeAll();

  const Connector connector_;
  const H2PoolOptions options_;
  std::vector<Connection> connections_;
  Waiter* waiters_ = nullptr;
  bool connecting_ = false;
  uint64_t attempts_ = 0;  // finished ones
  absl::Status last_attempt_;
  bool retired_ = false;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_H2_POOL_H_
