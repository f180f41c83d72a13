#include "sidecar/replace/successor.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::replace {
namespace {

io::Nanos AnswerDeadline() { return io::MonotonicNow() + kAnswerLimit; }

absl::Status Expect(const absl::StatusOr<Message>& message, std::string_view text) {
  if (!message.ok()) return message.status();
  if (message->text == text) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("it said something else than ", ToAbsl(text)));
}

// Why the greeting is not taken; empty if it is.
std::string ObjectionTo(std::string_view hello) {
  if (!hello.starts_with(kTakeOver)) return "that is no greeting";
  const std::vector<absl::string_view> words =
      absl::StrSplit(ToAbsl(hello.substr(kTakeOver.size())), ' ');
  if (ToStd(words.front()) == std::to_string(kProtocol)) return "";
  return absl::StrCat("it hands over by protocol ", kProtocol, ", not ", words.front());
}

}  // namespace

void Successor::Give(Role role, Descriptor connection) {
  queue_.emplace_back(role, std::move(connection));
  if (sending_) return;
  sending_ = true;
  io::Spawn(SendAll());
}

io::Task<void> Successor::SendAll() {
  constexpr size_t kAtOnce = 64;
  constexpr io::Nanos kPause = 10 * io::kMillisecond;
  io::Nanos deadline = AnswerDeadline();
  while (!queue_.empty()) {
    const Role role = queue_.front().first;
    std::vector<int> batch;
    for (const auto& [other, connection] : queue_) {
      if (other != role || batch.size() == kAtOnce) break;
      batch.push_back(connection.get());
    }
    const absl::Status sent = co_await channel_->Send(
        absl::StrCat(ToAbsl(kConnections), ToAbsl(NameOf(role))), batch, deadline);
    if (absl::IsResourceExhausted(sent) && io::MonotonicNow() < deadline) {
      co_await io::Sleep(io::MonotonicNow() + kPause);
      continue;
    }
    if (!sent.ok()) {
      WEFT_LOG_WARN("{} idle connections are closed, because the successor does not take them: {}",
                    batch.size(), ToStd(sent.message()));
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
    deadline = AnswerDeadline();
  }
  sending_ = false;
}

io::Task<void> Succession::Run() {
  while (std::unique_ptr<Channel> channel = co_await listener_->Accept()) {
    io::Spawn(Serve(std::move(channel)));
  }
}

io::Task<void> Succession::Serve(std::unique_ptr<Channel> channel) {
  const absl::StatusOr<Message> hello = co_await channel->Receive(AnswerDeadline());
  if (!hello.ok()) co_return;
  std::string objection = ObjectionTo(hello->text);
  if (objection.empty() && (busy_ || successor_ != nullptr)) {
    objection = "another one is taking over at this moment";
  }
  if (objection.empty()) objection = hooks_.refusal();
  if (!objection.empty()) {
    WEFT_LOG_WARN("refused to hand over: {}", objection);
    (void)co_await channel->Send(absl::StrCat(ToAbsl(kRefused), objection), {}, AnswerDeadline());
    co_return;
  }
  WEFT_LOG_INFO("a successor is getting ready: {}", hello->text);
  busy_ = true;
  const absl::Status handed_over = co_await HandOver(*channel);
  busy_ = false;
  if (!handed_over.ok()) {
    WEFT_LOG_WARN("going on, because the successor did not take over: {}",
                  ToStd(handed_over.message()));
    // So that it does not take us for dead.
    (void)co_await channel->Send(absl::StrCat(ToAbsl(kRefused), handed_over.message()), {},
                                 AnswerDeadline());
    co_return;
  }
  successor_ = std::make_unique<Successor>(std::move(channel));
  listener_->Close();
  arrived_.Notify();
}

io::Task<absl::Status> Succession::HandOver(Channel& channel) {
  std::vector<std::pair<Role, int>> sockets = hooks_.sockets();
  sockets.emplace_back(Role::kSuccessor, listener_->fd());
  std::string text(kSockets);
  std::vector<int> descriptors;
  for (const auto& [role, fd] : sockets) {
    absl::StrAppend(&text, " ", ToAbsl(NameOf(role)));
    descriptors.push_back(fd);
  }
  absl::Status status = co_await channel.Send(text, descriptors, AnswerDeadline());
  if (!status.ok()) co_return status;
  status = Expect(co_await channel.Receive(io::MonotonicNow() + kReadyLimit), kReady);
  if (!status.ok()) co_return status;
  // It may have begun to end while the successor got ready.
  if (const std::string refusal = hooks_.refusal(); !refusal.empty()) {
    co_return absl::FailedPreconditionError(refusal);
  }
  status = co_await channel.Send(std::string(kGo), {}, AnswerDeadline());
  if (!status.ok()) co_return status;
  co_return Expect(co_await channel.Receive(AnswerDeadline()), kAccepting);
}

}  // namespace weft::replace
