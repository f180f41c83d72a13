// TCP sockets on a reactor.
#ifndef WEFT_SIDECAR_IO_SOCKET_H_
#define WEFT_SIDECAR_IO_SOCKET_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "sidecar/io/frame_pool.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"

namespace weft::io {

// A connected (or connecting) TCP socket: the plain Stream. Stays at its address; TCP_NODELAY is
// set.
class Socket final : public Stream, private Pollable, public Pooled {
 public:
  using Pooled::operator new;
  using Pooled::operator delete;

  // Takes the descriptor over, whatever the outcome. Null if the reactor can not watch it.
  static std::unique_ptr<Socket> Adopt(int fd);

  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() override;

  IoResult Read(std::span<uint8_t> into) override;
  IoResult Write(std::span<const uint8_t> from) override;
  IoResult Flush() override { return {IoResult::State::kOk}; }
  void ShutdownWrite() override;
  void ResetOnClose() override;
  Event& readable() override { return readable_; }
  Event& writable() override { return writable_; }
  bool peer_closed() const override { return peer_closed_; }
  std::string error() const override;
  int Release() override;
  size_t unacknowledged_bytes() const override;

  // Looks at what has come without taking it.
  IoResult Peek(std::span<uint8_t> into);

  int fd() const { return fd_; }
  // The errno that broke it; 0 if nothing did.
  int error_number() const { return error_; }

  Address local() const;
  Address peer() const;
  // Where the client wanted to go before iptables redirected it here (SO_ORIGINAL_DST); nothing if
  // the connection was not redirected.
  std::optional<Address> original_destination() const;

 private:
  Socket(int fd, bool tcp) : fd_(fd), tcp_(tcp) {}
  void OnReady(uint32_t epoll_events) override;
  IoResult Fail();

  int fd_;
  const bool tcp_;
  int error_ = 0;
  bool peer_closed_ = false;
  bool drained_ = false;  // nothing to read until the next edge
  Event readable_;
  Event writable_;
};

// Connects within the deadline. Errors: Unavailable with the system's words (refused, unreachable),
// DeadlineExceeded, ResourceExhausted (no descriptors or ports).
Task<absl::StatusOr<std::unique_ptr<Socket>>> Connect(Address to, Nanos deadline);

// A listening socket; several workers may each have one on the same address (SO_REUSEPORT).
class Listener final : private Pollable {
 public:
  // Errors name the address and the system's words.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const Address& address, bool reuse_port);

  // Goes on with a socket that listens already, which another process may share. Takes the
  // descriptor over, whatever the outcome.
  static absl::StatusOr<std::unique_ptr<Listener>> Adopt(int fd);

  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override;

  // The next connection; null when Close() was called. Rides out lack of descriptors and of memory:
  // it waits and tries again, and counts.
  Task<std::unique_ptr<Socket>> Accept();

  // Takes no more connections; a waiting Accept() returns null. The kernel resets what still waits,
  // unless another process has the socket too.
  void Close();

  Address local() const;
  int fd() const { return fd_; }
  uint64_t accept_failures() const { return accept_failures_; }

 private:
  explicit Listener(int fd) : reactor_(Reactor::Current()), fd_(fd) {}
  void OnReady(uint32_t epoll_events) override;

  Reactor* const reactor_;
  int fd_;
  uint64_t accept_failures_ = 0;
  Event ready_;
};

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_SOCKET_H_
