#include "sidecar/replace/predecessor.h"

#include <sys/socket.h>

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "base/version.h"

namespace weft::replace {
namespace {

io::Nanos AnswerDeadline() { return io::MonotonicNow() + kAnswerLimit; }

io::Address LocalAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return io::Address::From(reinterpret_cast<const sockaddr*>(&storage));
}

// "sockets <role> <role>...", with as many descriptors.
absl::StatusOr<InheritedSockets> ReadSockets(Message message) {
  const std::vector<absl::string_view> words = absl::StrSplit(message.text, ' ');
  if (ToStd(words.front()) != kSockets || words.size() != message.descriptors.size() + 1) {
    return absl::InvalidArgumentError("the running sidecar's answer is not understood");
  }
  std::vector<InheritedSockets::Entry> entries;
  for (size_t i = 0; i < message.descriptors.size(); ++i) {
    const std::optional<Role> role = RoleOf(ToStd(words[i + 1]));
    if (!role.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the running sidecar has a socket for an unknown purpose, ", words[i + 1]));
    }
    Descriptor& fd = message.descriptors[i];
    entries.push_back(
        {.role = *role,
         .address = *role == Role::kSuccessor ? io::Address() : LocalAddress(fd.get()),
         .fd = std::move(fd)});
  }
  return InheritedSockets(std::move(entries));
}

}  // namespace

Descriptor InheritedSockets::Take(Role role, const io::Address& address) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->role != role || !(entry->address == address)) continue;
    Descriptor fd = std::move(entry->fd);
    entries_.erase(entry);
    return fd;
  }
  return Descriptor();
}

Descriptor InheritedSockets::Take(Role role) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->role != role) continue;
    Descriptor fd = std::move(entry->fd);
    entries_.erase(entry);
    return fd;
  }
  return Descriptor();
}

io::Task<absl::StatusOr<std::unique_ptr<Predecessor>>> Predecessor::Meet(std::string name) {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Channel::Connect(name);
  if (!channel.ok()) co_return channel.status();
  if (absl::Status sent = co_await (*channel)->Send(
          absl::StrCat(ToAbsl(kTakeOver), kProtocol, " ", ToAbsl(kVersion)), {}, AnswerDeadline());
      !sent.ok()) {
    co_return sent;
  }
  absl::StatusOr<Message> answer = co_await (*channel)->Receive(AnswerDeadline());
  if (!answer.ok()) co_return answer.status();
  if (answer->text.starts_with(kRefused)) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("the running sidecar refuses: ", answer->text.substr(kRefused.size())));
  }
  absl::StatusOr<InheritedSockets> sockets = ReadSockets(*std::move(answer));
  if (!sockets.ok()) co_return sockets.status();
  co_return std::unique_ptr<Predecessor>(new Predecessor(*std::move(channel), *std::move(sockets)));
}

io::Task<absl::Status> Predecessor::AnnounceReady() {
  // If it has gone, the next message says so, or why.
  (void)co_await channel_->Send(std::string(kReady), {}, AnswerDeadline());
  const absl::StatusOr<Message> answer = co_await channel_->Receive(AnswerDeadline());
  if (!answer.ok()) co_return answer.status();
  if (answer->text == kGo) co_return absl::OkStatus();
  co_return absl::FailedPreconditionError(
      absl::StrCat("the running sidecar does not let go: ", answer->text));
}

io::Task<absl::Status> Predecessor::AnnounceAccepting() {
  co_return co_await channel_->Send(std::string(kAccepting), {}, AnswerDeadline());
}

io::Task<absl::StatusOr<Predecessor::Connections>> Predecessor::NextConnections() {
  absl::StatusOr<Message> message = co_await channel_->Receive(io::kNever);
  if (!message.ok()) co_return message.status();
  const std::string_view text = message->text;
  const std::optional<Role> role =
      text.starts_with(kConnections) ? RoleOf(text.substr(kConnections.size())) : std::nullopt;
  if (role != Role::kInbound && role != Role::kOutbound) {
    co_return absl::InvalidArgumentError("the predecessor's message is not understood");
  }
  co_return Connections{.role = *role, .descriptors = std::move(message->descriptors)};
}

}  // namespace weft::replace
