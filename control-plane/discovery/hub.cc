#include "control-plane/discovery/hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "control-plane/discovery/stream.h"

namespace weft::discovery {
namespace {

// The part of the debounce time that a change waits which comes alone.
constexpr int kMoment = 10;

void Decrement(absl::flat_hash_map<std::string, size_t>& counts, std::string_view key) {
  const auto found = counts.find(ToAbsl(key));
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

Hub::Hub(Catalogue& catalogue, Metrics& metrics, Options options)
    : catalogue_(catalogue), metrics_(metrics), options_(std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

Hub::~Hub() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Hub::OnChanged(const std::vector<compile::ResourceKey>& keys) {
  const absl::Time now = absl::Now();
  absl::MutexLock lock(&mu_);
  for (const compile::ResourceKey& key : keys) changes_.try_emplace(key, now);
}

absl::Status Hub::Join(std::shared_ptr<Stream> stream) {
  const std::string identity = stream->identity().ToString();
  absl::MutexLock lock(&mu_);
  if (draining_) return absl::UnavailableError("the control plane is shutting down");
  size_t& count = per_identity_[identity];
  if (count >= options_.limits.streams_per_identity) {
    return absl::ResourceExhaustedError(absl::StrCat(identity, " has ", count, " streams already"));
  }
  ++count;
  metrics_.streams.Increment();
  const Stream* key = stream.get();
  members_.emplace(key, Member{std::move(stream), ""});
  return absl::OkStatus();
}

absl::Status Hub::Name(const Stream& stream, std::string_view workload) {
  absl::MutexLock lock(&mu_);
  const auto member = members_.find(&stream);
  if (member == members_.end()) return absl::UnavailableError("the stream has ended");
  size_t& count = per_workload_[ToAbsl(workload)];
  if (count >= options_.limits.streams_per_workload) {
    return absl::ResourceExhaustedError(
        absl::StrCat("workload ", ToAbsl(workload), " has ", count, " streams already"));
  }
  ++count;
  member->second.workload = workload;
  return absl::OkStatus();
}

void Hub::Leave(const Stream& stream) {
  absl::MutexLock lock(&mu_);
  const auto member = members_.find(&stream);
  if (member == members_.end()) return;
  Decrement(per_identity_, stream.identity().ToString());
  Decrement(per_workload_, member->second.workload);
  metrics_.streams.Decrement();
  members_.erase(member);
}

void Hub::Subscribe(Stream& stream, const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  if (interest_[key].insert(&stream).second) metrics_.subscriptions.Increment();
}

void Hub::Unsubscribe(Stream& stream, const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  const auto found = interest_.find(key);
  if (found == interest_.end() || found->second.erase(&stream) == 0) return;
  metrics_.subscriptions.Decrement();
  if (!found->second.empty()) return;
  interest_.erase(found);
  // Under our lock: a stream that subscribes afterwards asks the catalogue afterwards.
  catalogue_.Release(key);
}

std::vector<std::shared_ptr<Stream>> Hub::Streams() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Stream>> streams;
  streams.reserve(members_.size());
  for (const auto& [key, member] : members_) streams.push_back(member.stream);
  return streams;
}

std::vector<std::shared_ptr<Stream>> Hub::StreamsOf(std::string_view workload) const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Stream>> streams;
  for (const auto& [key, member] : members_) {
    if (member.workload == workload) streams.push_back(member.stream);
  }
  return streams;
}

void Hub::Drain() {
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
  }
  for (const std::shared_ptr<Stream>& stream : Streams()) {
    stream->Close(absl::UnavailableError("the control plane is shutting down"));
  }
}

void Hub::Push(const absl::flat_hash_map<compile::ResourceKey, absl::Time>& changes) {
  absl::flat_hash_map<std::shared_ptr<Stream>, std::vector<Stream::Change>> due;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [key, since] : changes) {
      const auto interested = interest_.find(key);
      if (interested == interest_.end()) continue;
      for (const Stream* stream : interested->second) {
        const auto member = members_.find(stream);
        if (member != members_.end()) due[member->second.stream].push_back({key, since});
      }
    }
  }
  for (const auto& [stream, stream_changes] : due) stream->OnChanged(stream_changes);
}

void Hub::Run() {
  absl::Time pushed = absl::InfinitePast();
  while (true) {
    absl::flat_hash_map<compile::ResourceKey, absl::Time> changes;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &Hub::HasWork));
      // Gather what comes in the wake of the first change: a moment if it comes out of the blue,
      // and if changes follow one another, until the last push is long enough ago. Only the end of
      // the hub cuts it short.
      const absl::Duration gather =
          std::clamp(pushed + options_.push_debounce - absl::Now(),
                     options_.push_debounce / kMoment, options_.push_debounce);
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), gather);
      if (stopping_) return;
      changes.swap(changes_);
    }
    pushed = absl::Now();
    Push(changes);
  }
}

}  // namespace weft::discovery
