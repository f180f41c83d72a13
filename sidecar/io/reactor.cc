#include "sidecar/io/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace weft::io {
namespace {

thread_local Reactor* current = nullptr;

constexpr int kEventsPerTurn = 256;

[[noreturn]] void DieFor(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

EndOfTurn::~EndOfTurn() {
  if (queued_in_ == nullptr) return;
  EndOfTurn* previous = nullptr;
  for (EndOfTurn* e = queued_in_->end_of_turn_; e != nullptr; previous = e, e = e->next_) {
    if (e != this) continue;
    (previous == nullptr ? queued_in_->end_of_turn_ : previous->next_) = next_;
    if (queued_in_->end_of_turn_last_ == this) queued_in_->end_of_turn_last_ = previous;
    return;
  }
}

Reactor::Reactor()
    : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(MonotonicNow()),
      timers_(now_) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) DieFor("cannot create an epoll instance");
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) DieFor("epoll_ctl");
  if (current == nullptr) current = this;
}

Reactor::~Reactor() {
  close(wake_fd_);
  close(epoll_fd_);
  if (current == this) current = nullptr;
}

Reactor* Reactor::Current() { return current; }

void Reactor::Bind() { current = this; }

void Reactor::Run() {
  Bind();
  while (!stop_.load(std::memory_order_relaxed)) RunTurn();
  stop_ = false;
}

void Reactor::Stop() {
  stop_ = true;
  const uint64_t one = 1;
  (void)!write(wake_fd_, &one, sizeof one);
}

void Reactor::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    if (posted_.size() > 1) return;  // already woken
  }
  const uint64_t one = 1;
  (void)!write(wake_fd_, &one, sizeof one);
}

void Reactor::RunPosted() {
  uint64_t count;
  (void)!read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& f : work) f();
}

void Reactor::AtEndOfTurn(EndOfTurn* work) {
  if (work->queued_in_ != nullptr) return;
  work->queued_in_ = this;
  work->next_ = nullptr;
  (end_of_turn_ == nullptr ? end_of_turn_ : end_of_turn_last_->next_) = work;
  end_of_turn_last_ = work;
}

bool Reactor::Add(int fd, Pollable* pollable) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = pollable}};
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Reactor::Remove(int fd) { epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr); }

void Reactor::RunTurn() {
  // What ran may have made more coroutines ready: their work shares this turn's writes. Not without
  // end, or one that schedules itself would keep everybody's writes and the kernel's news waiting.
  constexpr int kRounds = 8;
  for (int round = 0; round < kRounds && !ready_.empty(); ++round) {
    running_.swap(ready_);
    for (const std::coroutine_handle<> handle : running_) handle.resume();
    running_.clear();
  }
  while (end_of_turn_ != nullptr) {
    EndOfTurn* work = end_of_turn_;
    end_of_turn_ = work->next_;
    if (end_of_turn_ == nullptr) end_of_turn_last_ = nullptr;
    work->queued_in_ = nullptr;
    work->OnEndOfTurn();
  }

  int timeout_ms = -1;
  if (!ready_.empty() || stop_.load(std::memory_order_relaxed)) {
    timeout_ms = 0;
  } else if (const Nanos next = timers_.NextDeadline(); next != kNever) {
    const Nanos wait = next - MonotonicNow();
    timeout_ms = wait <= 0 ? 0 : static_cast<int>((wait + kMillisecond - 1) / kMillisecond);
  }
  std::array<epoll_event, kEventsPerTurn> events;
  const int n = epoll_wait(epoll_fd_, events.data(), kEventsPerTurn, timeout_ms);
  if (n < 0 && errno != EINTR) DieFor("epoll_wait");
  now_ = MonotonicNow();
  bool woken = false;
  for (int i = 0; i < n; ++i) {
    if (events[i].data.ptr == nullptr) {
      woken = true;
    } else {
      static_cast<Pollable*>(events[i].data.ptr)->OnReady(events[i].events);
    }
  }
  timers_.Advance(now_);
  // Last: posted work may destroy what this turn's events point at.
  if (woken) RunPosted();
}

}  // namespace weft::io
