// Messages with descriptors between two processes of one user in one pod: sequenced packets over
// abstract Unix sockets (unix(7)). Their names belong to the pod's network namespace, whatever the
// containers' files are, and go with the last process that has the socket. Anybody in the pod may
// connect, so either end makes sure that the other runs as its own user. Main reactor only.
#ifndef WEFT_SIDECAR_REPLACE_CHANNEL_H_
#define WEFT_SIDECAR_REPLACE_CHANNEL_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/replace/descriptor.h"

namespace weft::replace {

struct Message {
  std::string text;
  std::vector<Descriptor> descriptors;
};

class Channel final : private io::Pollable {
 public:
  static constexpr size_t kMaxTextBytes = 16 * 1024;
  static constexpr size_t kMaxDescriptors = 250;  // the kernel takes 253 (SCM_MAX_FD)

  // To whoever listens on the name. NotFound: nobody; PermissionDenied: another user.
  static absl::StatusOr<std::unique_ptr<Channel>> Connect(std::string_view name);
  // PermissionDenied: another user.
  static absl::StatusOr<std::unique_ptr<Channel>> Adopt(Descriptor fd);

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() override;

  // Sends copies of the descriptors along; the caller keeps its own. Errors: Unavailable (the other
  // end is gone), DeadlineExceeded, ResourceExhausted (too much for one message or for the kernel).
  io::Task<absl::Status> Send(std::string text, std::vector<int> descriptors, io::Nanos deadline);

  // The next message. Errors: Unavailable (the other end is gone), DeadlineExceeded,
  // ResourceExhausted (no room here for all descriptors), InvalidArgument (too long).
  io::Task<absl::StatusOr<Message>> Receive(io::Nanos deadline);

 private:
  explicit Channel(Descriptor fd) : reactor_(io::Reactor::Current()), fd_(std::move(fd)) {}
  void OnReady(uint32_t epoll_events) override;

  io::Reactor* const reactor_;
  const Descriptor fd_;
  io::Event readable_;
  io::Event writable_;
};

// Where successors knock.
class ChannelListener final : private io::Pollable {
 public:
  // AlreadyExists: the name is taken.
  static absl::StatusOr<std::unique_ptr<ChannelListener>> Open(std::string_view name);
  // Goes on with one that listens already.
  static absl::StatusOr<std::unique_ptr<ChannelListener>> Adopt(Descriptor fd);

  ChannelListener(const ChannelListener&) = delete;
  ChannelListener& operator=(const ChannelListener&) = delete;
  ~ChannelListener() override;

  // The next channel of our own user; others are turned away. Null once closed.
  io::Task<std::unique_ptr<Channel>> Accept();
  void Close();

  int fd() const { return fd_.get(); }

 private:
  explicit ChannelListener(Descriptor fd) : reactor_(io::Reactor::Current()), fd_(std::move(fd)) {}
  void OnReady(uint32_t epoll_events) override { ready_.Notify(); }

  io::Reactor* const reactor_;
  Descriptor fd_;
  io::Event ready_;
};

}  // namespace weft::replace

#endif  // WEFT_SIDECAR_REPLACE_CHANNEL_H_
