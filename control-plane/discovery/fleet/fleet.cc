#include "control-plane/discovery/fleet/fleet.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <optional>

#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/strings.h"

namespace weft::discovery::fleet {
namespace {

using compile::ResourceKey;
using compile::ResourceType;

constexpr uint64_t kInput = ~uint64_t{0};  // epoll's word for the input
constexpr int kEvents = 256;

int64_t MonotonicNanos() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

std::optional<ResourceType> TypeOf(std::string_view name) {
  for (const ResourceType type : compile::kResourceTypes) {
    if (compile::TypeName(type) == name) return type;
  }
  return std::nullopt;
}

std::vector<std::string> Words(std::string_view line) {
  return absl::StrSplit(ToAbsl(line), ' ', absl::SkipEmpty());
}

}  // namespace

Fleet::Fleet(Shared shared, Report report, int epoll)
    : shared_(std::move(shared)), report_(std::move(report)), epoll_(epoll) {}

Fleet::~Fleet() { close(epoll_); }

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::Create(std::string_view plan, Shared shared,
                                                     Report report) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return absl::ErrnoToStatus(errno, "epoll_create1");
  auto fleet = absl::WrapUnique(new Fleet(std::move(shared), std::move(report), epoll));
  int number = 0;
  for (const auto line : absl::StrSplit(ToAbsl(plan), '\n')) {
    ++number;
    if (line.empty()) continue;
    if (absl::Status added = fleet->Add(ToStd(line)); !added.ok()) {
      return absl::Status(added.code(), absl::StrCat("line ", number, ": ", added.message()));
    }
  }
  return fleet;
}

absl::Status Fleet::Add(std::string_view line) {
  std::vector<std::string> words = Words(line);
  std::vector<ResourceKey> wanted;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::optional<ResourceType> type = TypeOf(words[i].substr(0, equals));
    if (equals == std::string::npos || !type.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("\"", words[i], "\" is not TYPE=NAME"));
    }
    wanted.push_back({*type, words[i].substr(equals + 1)});
  }
  sidecars_.push_back(std::make_unique<Sidecar>(shared_, words.front(), std::move(wanted)));
  polled_.emplace_back();
  settled_.push_back(false);
  return absl::OkStatus();
}

absl::Status Fleet::Order(std::string_view line) {
  const std::vector<std::string> words = Words(line);
  const std::string verb = words.empty() ? "" : words.front();
  double seconds = 0;
  if (verb == "connect" && words.size() == 1) {
    for (size_t i = 0; i < sidecars_.size(); ++i) due_.emplace(absl::InfinitePast(), i);
    awaiting_ = true;
    return absl::OkStatus();
  }
  if (verb == "drop" && words.size() == 2 && absl::SimpleAtod(words[1], &seconds)) {
    Drop(absl::Seconds(seconds));
    awaiting_ = true;
    return absl::OkStatus();
  }
  if (verb == "await" && words.size() == 1) {
    awaiting_ = true;
    ReportSettled();
    return absl::OkStatus();
  }
  if (verb == "watch" && words.size() == 4) return Watch(words[1], words[2], words[3]);
  if (verb == "counts" && words.size() == 1) {
    ReportCounts();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no such order: ", ToAbsl(line)));
}

void Fleet::Drop(absl::Duration spread) {
  const absl::Time now = absl::Now();
  for (size_t i = 0; i < sidecars_.size(); ++i) {
    sidecars_[i]->Drop();
    const double share = std::uniform_real_distribution<>(0, 1)(shared_.random);
    sidecars_[i]->ComeBackAt(now + spread * share);
    Follow(i);
  }
}

absl::Status Fleet::Watch(std::string_view type, std::string_view name, std::string_view marker) {
  const std::optional<ResourceType> parsed = TypeOf(type);
  if (!parsed.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("no resource type: ", ToAbsl(type)));
  }
  const ResourceKey key{*parsed, std::string(name)};
  watching_ = 0;
  reached_.clear();
  for (const std::unique_ptr<Sidecar>& sidecar : sidecars_) {
    if (!sidecar->Wants(key)) continue;
    ++watching_;
    sidecar->Watch(key, std::string(marker), [this] {
      reached_.push_back(MonotonicNanos());
      if (reached_.size() < watching_) return;
      report_(absl::StrCat("{\"reached\": [", absl::StrJoin(reached_, ", "), "]}"));
    });
  }
  report_(absl::StrCat("{\"watching\": ", watching_, "}"));
  return absl::OkStatus();
}

void Fleet::ReportSettled() {
  if (!awaiting_ || settled_count_ < sidecars_.size()) return;
  awaiting_ = false;
  report_(absl::StrCat("{\"settled\": ", settled_count_, ", \"at\": ", MonotonicNanos(),
                       ", \"failures\": ", shared_.failures - reported_failures_, "}"));
  reported_failures_ = shared_.failures;
}

void Fleet::ReportCounts() {
  report_(absl::StrCat("{\"received\": ", shared_.traffic.received,
                       ", \"sent\": ", shared_.traffic.sent, ", \"messages\": ", shared_.messages,
                       ", \"settled\": ", settled_count_, "}"));
}

void Fleet::Follow(size_t index) {
  const Sidecar& sidecar = *sidecars_[index];
  Polled& polled = polled_[index];
  if (sidecar.settled() != settled_[index]) {
    settled_[index] = sidecar.settled();
    settled_count_ += sidecar.settled() ? 1 : -1;
    ReportSettled();
  }
  const Connection* connection = sidecar.connection();
  if (connection == nullptr) {
    polled = {};  // a closed descriptor leaves epoll by itself
    if (sidecar.next_attempt() != absl::InfiniteFuture()) {
      due_.emplace(sidecar.next_attempt(), index);
    }
    return;
  }
  const uint32_t wanted = connection->Wanted();
  if (polled.descriptor == connection->descriptor() && polled.events == wanted) return;
  epoll_event event{.events = wanted, .data = {.u64 = index}};
  const int operation =
      polled.descriptor == connection->descriptor() ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  epoll_ctl(epoll_, operation, connection->descriptor(), &event);
  polled = {connection->descriptor(), wanted};
}

void Fleet::ConnectDue() {
  const absl::Time now = absl::Now();
  while (!due_.empty() && due_.top().first <= now) {
    const size_t index = due_.top().second;
    due_.pop();
    Sidecar& sidecar = *sidecars_[index];
    if (sidecar.connection() != nullptr || sidecar.next_attempt() > now) continue;
    sidecar.Connect();
    Follow(index);
  }
}

bool Fleet::Turn(int input) {
  if (input >= 0) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kInput}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, input, &event);  // again and again: it stays the same
  }
  ConnectDue();
  int wait_ms = 1000;
  if (!due_.empty()) {
    const absl::Duration left = due_.top().first - absl::Now();
    wait_ms =
        static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(left) + 1, 0, wait_ms));
  }
  std::array<epoll_event, kEvents> events = {};
  const int count = epoll_wait(epoll_, events.data(), kEvents, wait_ms);
  bool readable = false;
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == kInput) {
      readable = true;
      continue;
    }
    const auto index = static_cast<size_t>(events[i].data.u64);
    if (sidecars_[index]->connection() == nullptr) continue;
    sidecars_[index]->Drive();
    Follow(index);
  }
  return readable;
}

}  // namespace weft::discovery::fleet
