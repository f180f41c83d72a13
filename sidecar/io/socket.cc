#include "sidecar/io/socket.h"

#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sidecar/io/connect_limit.h"

namespace weft::io {
namespace {

constexpr int kBacklog = 4096;

// Of one thread.
struct PendingConnects {
  size_t count = 0;
  size_t max = SIZE_MAX;
};
thread_local PendingConnects pending_connects;

// For as long as a connection is being opened.
class PendingConnect {
 public:
  PendingConnect() { ++pending_connects.count; }
  PendingConnect(const PendingConnect&) = delete;
  PendingConnect& operator=(const PendingConnect&) = delete;
  ~PendingConnect() { --pending_connects.count; }
};

absl::Status ConnectError(const Address& to, int error) {
  const std::string message =
      absl::StrCat("connect to ", to.ToString(), ": ", std::strerror(error));
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

template <typename Query>
Address AddressOf(Query query) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (query(reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return Address::From(reinterpret_cast<const sockaddr*>(&storage));
}

}  // namespace

void SetMaxPendingConnects(size_t max) { pending_connects.max = max; }

std::unique_ptr<Socket> Socket::Adopt(int fd) {
  const int one = 1;
  // Fails on sockets of other kinds; of those nothing is concluded from a short read.
  const bool tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
  std::unique_ptr<Socket> socket(new Socket(fd, tcp));
  if (!Reactor::Current()->Add(fd, socket.get())) return nullptr;
  return socket;
}

// Closing the last descriptor takes it out of epoll.
Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

int Socket::Release() {
  Reactor::Current()->Remove(fd_);
  return std::exchange(fd_, -1);
}

void Socket::OnReady(uint32_t epoll_events) {
  if ((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_closed_ = true;
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    drained_ = false;
    readable_.Notify();
  }
  if ((epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_.Notify();
}

IoResult Socket::Fail() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return {IoResult::State::kWouldBlock};
  }
  error_ = errno;
  peer_closed_ = true;
  return {IoResult::State::kFailed};
}

IoResult Socket::Read(std::span<uint8_t> into) {
  if (drained_) return {IoResult::State::kWouldBlock};
  const ssize_t n = recv(fd_, into.data(), into.size(), 0);
  if (n > 0) {
    // A short read has emptied the kernel's buffer; the next byte makes a new edge (epoll(7),
    // question 9), so asking again before it is a wasted call. An end that was already announced
    // makes none.
    drained_ = tcp_ && static_cast<size_t>(n) < into.size() && !peer_closed_;
    return {IoResult::State::kOk, static_cast<size_t>(n)};
  }
  if (n == 0) return {into.empty() ? IoResult::State::kOk : IoResult::State::kEnd};
  return Fail();
}

IoResult Socket::Peek(std::span<uint8_t> into) {
  const ssize_t n = recv(fd_, into.data(), into.size(), MSG_PEEK);
  if (n > 0) return {IoResult::State::kOk, static_cast<size_t>(n)};
  if (n == 0) return {IoResult::State::kEnd};
  return Fail();
}

IoResult Socket::Write(std::span<const uint8_t> from) {
  const ssize_t n = send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
  if (n >= 0) return {IoResult::State::kOk, static_cast<size_t>(n)};
  return Fail();
}

void Socket::ShutdownWrite() { shutdown(fd_, SHUT_WR); }

void Socket::ResetOnClose() {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

size_t Socket::unacknowledged_bytes() const {
  int bytes = 0;
  return tcp_ && ioctl(fd_, SIOCOUTQ, &bytes) == 0 ? static_cast<size_t>(bytes) : 0;
}

std::string Socket::error() const { return error_ == 0 ? "" : std::strerror(error_); }

Address Socket::local() const {
  return AddressOf([&](sockaddr* a, socklen_t* n) { return getsockname(fd_, a, n); });
}

Address Socket::peer() const {
  return AddressOf([&](sockaddr* a, socklen_t* n) { return getpeername(fd_, a, n); });
}

std::optional<Address> Socket::original_destination() const {
  const Address here = local();
  const Address original = AddressOf([&](sockaddr* a, socklen_t* n) {
    return here.is_ipv6() ? getsockopt(fd_, SOL_IPV6, IP6T_SO_ORIGINAL_DST, a, n)
                          : getsockopt(fd_, SOL_IP, SO_ORIGINAL_DST, a, n);
  });
  if (original.family() == AF_UNSPEC || original == here) return std::nullopt;
  return original;
}

Task<absl::StatusOr<std::unique_ptr<Socket>>> Connect(Address to, Nanos deadline) {
  if (pending_connects.count >= pending_connects.max) {
    co_return absl::ResourceExhaustedError(absl::StrCat(
        "connect to ", to.ToString(), ": ", pending_connects.count, " others are under way"));
  }
  const PendingConnect pending;
  const int fd = socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return ConnectError(to, errno);
  if (connect(fd, to.data(), to.size()) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    co_return ConnectError(to, error);
  }
  std::unique_ptr<Socket> connecting = Socket::Adopt(fd);
  if (connecting == nullptr) co_return ConnectError(to, errno);
  for (;;) {
    if (co_await Wait(connecting->writable(), deadline) == nullptr) {
      co_return absl::DeadlineExceededError(
          absl::StrCat("connect to ", to.ToString(), ": no answer in time"));
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) co_return ConnectError(to, error);
    // epoll reports a socket that has just been added before the handshake is through: ask the
    // kernel.
    tcp_info info;
    size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        (info.tcpi_state == TCP_SYN_SENT || info.tcpi_state == TCP_SYN_RECV)) {
      continue;
    }
    co_return connecting;
  }
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const Address& address, bool reuse_port) {
  const auto failed = [&](int fd) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(
        absl::StrCat("listen on ", address.ToString(), ": ", std::strerror(error)));
  };
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(fd);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) {
    return failed(fd);
  }
  if (address.is_ipv6()) {
    // [::] takes IPv4 too.
    const int zero = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  }
  if (bind(fd, address.data(), address.size()) != 0 || listen(fd, kBacklog) != 0) return failed(fd);
  return Adopt(fd);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Adopt(int fd) {
  std::unique_ptr<Listener> listener(new Listener(fd));
  if (!listener->reactor_->Add(fd, listener.get())) {
    return absl::UnavailableError(
        absl::StrCat("listen on ", listener->local().ToString(), ": ", std::strerror(errno)));
  }
  return listener;
}

Listener::~Listener() { Close(); }

void Listener::OnReady(uint32_t epoll_events) { ready_.Notify(); }

void Listener::Close() {
  if (fd_ < 0) return;
  // As long as another process has the socket, closing our descriptor does not end the watch.
  reactor_->Remove(fd_);
  close(fd_);
  fd_ = -1;
  ready_.Notify();
}

Address Listener::local() const {
  return AddressOf([&](sockaddr* a, socklen_t* n) { return getsockname(fd_, a, n); });
}

Task<std::unique_ptr<Socket>> Listener::Accept() {
  // Long enough not to spin while descriptors are short, short enough not to be felt afterwards.
  constexpr Nanos kPause = 20 * kMillisecond;
  while (fd_ >= 0) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      std::unique_ptr<Socket> socket = Socket::Adopt(fd);
      if (socket != nullptr) co_return socket;
      ++accept_failures_;
    } else if (errno == EAGAIN) {
      co_await Wait(ready_);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      ++accept_failures_;
      co_await Wait(ready_, Reactor::Current()->now() + kPause);
    }
    // Anything else concerns a connection that is already gone (ECONNABORTED and the like).
  }
  co_return nullptr;
}

}  // namespace weft::io
