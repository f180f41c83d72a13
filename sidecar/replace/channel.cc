#include "sidecar/replace/channel.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::replace {
namespace {

constexpr int kBacklog = 8;

// An abstract address: a zero byte and the name.
struct AbstractAddress {
  explicit AbstractAddress(std::string_view name) {
    const size_t bytes = std::min(name.size(), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path + 1, name.data(), bytes);
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  socklen_t size;
};

Descriptor NewSocket() {
  return Descriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

std::string LastError() { return std::strerror(errno); }

// Room for the descriptors of one message.
struct Ancillary {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * Channel::kMaxDescriptors)> bytes{};
};

void TakeDescriptors(msghdr& header, std::vector<Descriptor>* into) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      into->emplace_back(fd);
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Channel>> Channel::Connect(std::string_view name) {
  Descriptor fd = NewSocket();
  const AbstractAddress address(name);
  if (fd.get() < 0 || connect(fd.get(), address.get(), address.size) != 0) {
    if (errno == ECONNREFUSED) return absl::NotFoundError("no sidecar runs here");
    return absl::UnavailableError(absl::StrCat("cannot reach the running sidecar: ", LastError()));
  }
  return Adopt(std::move(fd));
}

absl::StatusOr<std::unique_ptr<Channel>> Channel::Adopt(Descriptor fd) {
  // Who listened, seen from the one end; who connected, from the other.
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return absl::UnavailableError(LastError());
  }
  if (peer.uid != geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the other end runs as user ", peer.uid, ", not as ", geteuid()));
  }
  std::unique_ptr<Channel> channel(new Channel(std::move(fd)));
  if (!channel->reactor_->Add(channel->fd_.get(), channel.get())) {
    return absl::UnavailableError(LastError());
  }
  return channel;
}

Channel::~Channel() { reactor_->Remove(fd_.get()); }

void Channel::OnReady(uint32_t epoll_events) {
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_.Notify();
  if ((epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_.Notify();
}

io::Task<absl::Status> Channel::Send(std::string text, std::vector<int> descriptors,
                                     io::Nanos deadline) {
  if (text.size() > kMaxTextBytes || descriptors.size() > kMaxDescriptors) {
    co_return absl::ResourceExhaustedError("too much for one message");
  }
  iovec piece{.iov_base = text.data(), .iov_len = text.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  Ancillary ancillary;
  if (!descriptors.empty()) {
    const size_t bytes = descriptors.size() * sizeof(int);
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(part), descriptors.data(), bytes);
  }
  while (sendmsg(fd_.get(), &header, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    // Descriptors under way count (ETOOMANYREFS) until the other end takes them.
    if (errno == ETOOMANYREFS) co_return absl::ResourceExhaustedError(LastError());
    if (errno != EAGAIN) co_return absl::UnavailableError(LastError());
    if (co_await Wait(writable_, deadline) == nullptr) {
      co_return absl::DeadlineExceededError("the other end takes nothing");
    }
  }
  co_return absl::OkStatus();
}

io::Task<absl::StatusOr<Message>> Channel::Receive(io::Nanos deadline) {
  Message message;
  message.text.resize(kMaxTextBytes);
  for (;;) {
    iovec piece{.iov_base = message.text.data(), .iov_len = message.text.size()};
    Ancillary ancillary;
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = ancillary.bytes.size();
    const ssize_t n = recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
    if (n > 0) {
      TakeDescriptors(header, &message.descriptors);
      if ((header.msg_flags & MSG_CTRUNC) != 0) {
        co_return absl::ResourceExhaustedError("no room for the descriptors that were sent");
      }
      if ((header.msg_flags & MSG_TRUNC) != 0) {
        co_return absl::InvalidArgumentError("a message that is too long");
      }
      message.text.resize(static_cast<size_t>(n));
      co_return message;
    }
    if (n == 0) co_return absl::UnavailableError("the other end is gone");
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return absl::UnavailableError(LastError());
    if (co_await Wait(readable_, deadline) == nullptr) {
      co_return absl::DeadlineExceededError("no word from the other end");
    }
  }
}

absl::StatusOr<std::unique_ptr<ChannelListener>> ChannelListener::Open(std::string_view name) {
  Descriptor fd = NewSocket();
  const AbstractAddress address(name);
  if (fd.get() < 0 || bind(fd.get(), address.get(), address.size) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE) return absl::AlreadyExistsError("the name is taken");
    return absl::UnavailableError(LastError());
  }
  return Adopt(std::move(fd));
}

absl::StatusOr<std::unique_ptr<ChannelListener>> ChannelListener::Adopt(Descriptor fd) {
  std::unique_ptr<ChannelListener> listener(new ChannelListener(std::move(fd)));
  if (!listener->reactor_->Add(listener->fd_.get(), listener.get())) {
    return absl::UnavailableError(LastError());
  }
  return listener;
}

ChannelListener::~ChannelListener() { Close(); }

void ChannelListener::Close() {
  if (fd_.get() < 0) return;
  // The successor has the socket too: closing ours does not end the watch.
  reactor_->Remove(fd_.get());
  fd_ = Descriptor();
  ready_.Notify();
}

io::Task<std::unique_ptr<Channel>> ChannelListener::Accept() {
  // Descriptors may be short for a while.
  constexpr io::Nanos kPause = 100 * io::kMillisecond;
  while (fd_.get() >= 0) {
    Descriptor accepted(accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted.get() >= 0) {
      absl::StatusOr<std::unique_ptr<Channel>> channel = Channel::Adopt(std::move(accepted));
      if (channel.ok()) co_return *std::move(channel);
      WEFT_LOG_WARN("a would-be successor was turned away: {}", ToStd(channel.status().message()));
    } else if (errno == EAGAIN) {
      co_await Wait(ready_);
    } else {
      co_await Wait(ready_, io::Reactor::Current()->now() + kPause);
    }
  }
  co_return nullptr;
}

}  // namespace weft::replace
