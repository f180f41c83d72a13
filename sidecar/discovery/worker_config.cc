#include "sidecar/discovery/worker_config.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "sidecar/io/timer.h"

namespace weft::discovery {
namespace {

using internal::AnswerWaiter;
using internal::UseLink;

void Unlink(UseLink& link) {
  link.previous->next = link.next;
  link.next->previous = link.previous;
  link.previous = link.next = nullptr;
}

void LinkBefore(UseLink& position, UseLink& link) {
  link.next = &position;
  link.previous = position.previous;
  position.previous->next = &link;
  position.previous = &link;
}

void WakeAll(AnswerWaiter*& waiters) {
  while (waiters != nullptr) {
    AnswerWaiter* waiter = waiters;
    waiters = waiter->next;
    waiter->next = nullptr;
    waiter->answered.Notify();
  }
}

void Leave(AnswerWaiter*& waiters, AnswerWaiter& leaving) {
  for (AnswerWaiter** at = &waiters; *at != nullptr; at = &(*at)->next) {
    if (*at != &leaving) continue;
    *at = leaving.next;
    return;
  }
}

}  // namespace

// Looks for idle entries a few times per idle limit.
class WorkerConfig::Sweep final : public io::Timer {
 public:
  explicit Sweep(WorkerConfig* config) : config_(config) {}

  // From any lookup: a sidecar without entries has nothing to wake for.
  void Arm(io::Nanos now) {
    if (armed()) return;
    const io::Nanos interval = std::max(config_->options_.idle_limit / 4, 50 * io::kMillisecond);
    config_->reactor_->timers().Arm(this, now + interval);
  }

 private:
  void OnExpired() override {
    const io::Nanos now = io::MonotonicNow();
    config_->DropIdle(now);
    if (!config_->destinations_.empty() || !config_->endpoints_.empty()) Arm(now);
  }

  WorkerConfig* const config_;
};

WorkerConfig::WorkerConfig(io::Reactor* reactor, Broker* broker, Options options,
                           ListenerFactory factory)
    : reactor_(reactor),
      broker_(broker),
      options_(options),
      factory_(std::move(factory)),
      sweep_(std::make_unique<Sweep>(this)) {
  by_use_.previous = by_use_.next = &by_use_;
}

WorkerConfig::~WorkerConfig() = default;

DestinationRef WorkerConfig::Lookup(const io::Address& address) {
  const auto found = destinations_.find(address);
  if (found != destinations_.end()) {
    Touch(*found->second);
    return DestinationRef(found->second.get());
  }
  const size_t limit = std::min(options_.max_destinations, broker_->DestinationsPerWorker());
  if (destinations_.size() >= limit && !MakeRoom()) {
    ++refused_lookups_;
    return DestinationRef();
  }
  auto& entry = destinations_[address];
  entry = std::make_unique<DestinationEntry>();
  entry->address_ = address;
  entry->last_used_ = reactor_->now();
  LinkBefore(by_use_, *entry);
  sweep_->Arm(entry->last_used_);
  broker_->Subscribe(this, OnDemand::kDestination, address.ToString());
  return DestinationRef(entry.get());
}

EndpointsRef WorkerConfig::LookupEndpoints(std::string_view name) {
  const auto found = endpoints_.find(ToAbsl(name));
  if (found != endpoints_.end()) {
    found->second->last_used_ = reactor_->now();
    return EndpointsRef(found->second.get());
  }
  auto& entry = endpoints_[std::string(name)];
  entry = std::make_unique<EndpointsEntry>();
  entry->name_ = name;
  entry->last_used_ = reactor_->now();
  if (factory_) entry->listener_ = factory_(entry->name_);
  sweep_->Arm(entry->last_used_);
  broker_->Subscribe(this, OnDemand::kEndpoints, entry->name_);
  return EndpointsRef(entry.get());
}

void WorkerConfig::Touch(DestinationEntry& entry) {
  entry.last_used_ = reactor_->now();
  if (by_use_.previous == static_cast<UseLink*>(&entry)) return;
  Unlink(entry);
  LinkBefore(by_use_, entry);
}

namespace {

template <typename Ref>
io::Task<Answer> Await(Ref entry, AnswerWaiter*& waiters, io::Nanos deadline) {
  AnswerWaiter waiter;
  while (entry->answer() == Answer::kAsked) {
    waiter.next = waiters;
    waiters = &waiter;
    const bool in_time = co_await io::Wait(waiter.answered, deadline) != nullptr;
    Leave(waiters, waiter);
    if (!in_time) break;
  }
  co_return entry->answer();
}

}  // namespace

io::Task<Answer> WorkerConfig::Resolved(DestinationRef entry, io::Nanos deadline) {
  AnswerWaiter*& waiters = entry->waiters_;
  return Await(std::move(entry), waiters, deadline);
}

io::Task<Answer> WorkerConfig::Resolved(EndpointsRef entry, io::Nanos deadline) {
  AnswerWaiter*& waiters = entry->waiters_;
  return Await(std::move(entry), waiters, deadline);
}

void WorkerConfig::OnDestination(const std::string& name, Answer answer,
                                 std::shared_ptr<const route::Destination> destination) {
  const absl::StatusOr<io::Address> address = io::Address::Parse(name);
  if (!address.ok()) return;
  const auto found = destinations_.find(*address);
  if (found == destinations_.end()) return;  // dropped in the meantime
  DestinationEntry& entry = *found->second;
  // The new references first, so that endpoints which both have stay.
  std::vector<EndpointsRef> endpoints;
  if (destination != nullptr) {
    endpoints.reserve(destination->endpoints().size());
    for (const std::string& endpoints_name : destination->endpoints()) {
      endpoints.push_back(LookupEndpoints(endpoints_name));
    }
  }
  const io::Nanos now = reactor_->now();
  for (const EndpointsRef& left : entry.endpoints_) left->last_used_ = now;
  entry.endpoints_ = std::move(endpoints);
  entry.destination_ = std::move(destination);
  entry.answer_ = answer;
  WakeAll(entry.waiters_);
}

void WorkerConfig::OnEndpoints(const std::string& name, Answer answer,
                               std::shared_ptr<const weft::v1::Endpoints> endpoints) {
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) return;
  EndpointsEntry& entry = *found->second;
  entry.endpoints_ = std::move(endpoints);
  entry.answer_ = answer;
  if (entry.listener_ != nullptr) entry.listener_->OnEndpoints(entry.endpoints_);
  WakeAll(entry.waiters_);
}

void WorkerConfig::OnWorkload(std::shared_ptr<const weft::v1::Workload> workload) {
  workload_ = std::move(workload);
  if (on_change_) on_change_();
}

void WorkerConfig::OnSettings(std::shared_ptr<const weft::v1::MeshSettings> settings) {
  settings_ = std::move(settings);
  if (on_change_) on_change_();
}

bool WorkerConfig::MakeRoom() {
  for (UseLink* link = by_use_.next; link != &by_use_; link = link->next) {
    auto& entry = static_cast<DestinationEntry&>(*link);
    if (entry.references_ > 0) continue;
    Drop(entry);
    return true;
  }
  return false;
}

void WorkerConfig::Drop(DestinationEntry& entry) {
  Unlink(entry);
  const io::Nanos now = reactor_->now();
  // Their idle time begins now: while a destination leads to endpoints they are in use.
  for (const EndpointsRef& endpoints : entry.endpoints_) endpoints->last_used_ = now;
  broker_->Unsubscribe(this, OnDemand::kDestination, entry.address_.ToString());
  destinations_.erase(io::Address(entry.address_));
}

void WorkerConfig::DropIdle(io::Nanos now) {
  UseLink* link = by_use_.next;
  while (link != &by_use_) {
    auto& entry = static_cast<DestinationEntry&>(*link);
    link = link->next;
    if (now - entry.last_used_ < options_.idle_limit) break;
    if (entry.references_ == 0) Drop(entry);
  }
  for (auto at = endpoints_.begin(); at != endpoints_.end();) {
    const auto here = at++;
    EndpointsEntry& entry = *here->second;
    if (entry.references_ > 0 || now - entry.last_used_ < options_.idle_limit) continue;
    broker_->Unsubscribe(this, OnDemand::kEndpoints, entry.name_);
    endpoints_.erase(here);
  }
}

}  // namespace weft::discovery
