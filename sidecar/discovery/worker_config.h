// What one worker knows of the mesh: the destinations its connections dial and the endpoints behind
// them, asked for when they are first needed, forgotten when they have been idle for long.
//
//   Connection coroutine                 WorkerConfig (worker)           Client (main reactor)
//   Lookup(address) -------- miss -----> entry kAsked ------- Post ----> subscribes, asks the
//   control plane co_await Resolved(ref, deadline)     entry kPresent <---- Post ----- compiled
//   once, same pointer for all
//
// Everything here belongs to the worker's thread. A hit takes no lock, no atomic and no allocation;
// only a miss and a drop post to the main reactor.
#ifndef WEFT_SIDECAR_DISCOVERY_WORKER_CONFIG_H_
#define WEFT_SIDECAR_DISCOVERY_WORKER_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sidecar/discovery/subscriber.h"
#include "sidecar/io/address.h"
#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/task.h"
#include "sidecar/route/destination.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {

// The owner's object for one Endpoints resource on one worker: its balancer and pools. Owned by the
// entry and destroyed with it, on the worker's thread.
class EndpointsListener {
 public:
  virtual ~EndpointsListener() = default;
  // On arrival and on every change. Null: the resource does not exist (any more), so there are no
  // endpoints.
  virtual void OnEndpoints(const std::shared_ptr<const weft::v1::Endpoints>& endpoints) = 0;
};

class DestinationEntry;
class EndpointsEntry;

namespace internal {

// Keeps an entry from being dropped; counted without atomics.
template <typename Entry>
class Ref {
 public:
  Ref() = default;
  explicit Ref(Entry* entry) : entry_(entry) {
    if (entry_ != nullptr) ++entry_->references_;
  }
  Ref(const Ref& other) : Ref(other.entry_) {}
  Ref(Ref&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Ref() {
    if (entry_ != nullptr) --entry_->references_;
  }

  Entry* get() const { return entry_; }
  Entry* operator->() const { return entry_; }
  Entry& operator*() const { return *entry_; }
  explicit operator bool() const { return entry_ != nullptr; }

 private:
  Entry* entry_ = nullptr;
};

// A place in the order of last use; the least recently used comes first.
struct UseLink {
  UseLink* previous = nullptr;
  UseLink* next = nullptr;
};

// Coroutines that wait for an entry's first answer. One event each, in their own frames.
struct AnswerWaiter {
  io::Event answered;
  AnswerWaiter* next = nullptr;
};

}  // namespace internal

// What holds an entry across suspensions. Must go before the WorkerConfig does. An entry that
// somebody holds is in use and is never dropped.
using DestinationRef = internal::Ref<DestinationEntry>;
using EndpointsRef = internal::Ref<EndpointsEntry>;

// One Endpoints resource.
class EndpointsEntry : private internal::UseLink {
 public:
  const std::string& name() const { return name_; }
  Answer answer() const { return answer_; }
  // Null unless answer() is kPresent.
  const std::shared_ptr<const weft::v1::Endpoints>& endpoints() const { return endpoints_; }
  // What the factory made for this entry; null without a factory.
  EndpointsListener* listener() const { return listener_.get(); }

 private:
  friend class WorkerConfig;
  friend EndpointsRef;

  std::string name_;
  Answer answer_ = Answer::kAsked;
  std::shared_ptr<const weft::v1::Endpoints> endpoints_;
  std::unique_ptr<EndpointsListener> listener_;
  uint32_t references_ = 0;
  io::Nanos last_used_ = 0;
  internal::AnswerWaiter* waiters_ = nullptr;
};

// One dialled address. destination() and endpoints() may change at any suspension: whoever keeps a
// rule or a backend across one keeps a copy of the destination() pointer too.
class DestinationEntry : private internal::UseLink {
 public:
  const io::Address& address() const { return address_; }
  Answer answer() const { return answer_; }
  // Null unless answer() is kPresent. Stays present while the control plane is away.
  const std::shared_ptr<const route::Destination>& destination() const { return destination_; }
  // By position in destination()->endpoints(), which is route::Backend::endpoints_index.
  EndpointsEntry* endpoints(size_t index) const { return endpoints_[index].get(); }

 private:
  friend class WorkerConfig;
  friend DestinationRef;

  io::Address address_;
  Answer answer_ = Answer::kAsked;
  std::shared_ptr<const route::Destination> destination_;
  std::vector<EndpointsRef> endpoints_;
  uint32_t references_ = 0;
  io::Nanos last_used_ = 0;
  internal::AnswerWaiter* waiters_ = nullptr;
};

// The tables of one worker. Made before its thread runs, destroyed after its reactor and the main
// reactor have stopped.
class WorkerConfig final : public Subscriber {
 public:
  struct Options {
    // An entry that nobody holds and nobody looked up for so long is dropped.
    io::Nanos idle_limit = 600 * io::kSecond;
    // Dialled addresses held at once, or Broker::DestinationsPerWorker() if that is less. One more
    // drops the least recently used that nobody holds; if all are held, Lookup() gives none: such a
    // connection must be refused, since passing it through could carry mesh traffic outside mTLS.
    size_t max_destinations = 10'000;
  };
  using ListenerFactory =
      std::function<std::unique_ptr<EndpointsListener>(const std::string& endpoints_name)>;

  // `reactor` is the worker's; `broker` outlives this. `factory` may be empty.
  WorkerConfig(io::Reactor* reactor, Broker* broker, Options options, ListenerFactory factory);
  WorkerConfig(const WorkerConfig&) = delete;
  WorkerConfig& operator=(const WorkerConfig&) = delete;
  ~WorkerConfig() override;

  // The entry of a dialled address; asks the control plane if there is none. An empty reference if
  // the limit is reached and every entry is held.
  DestinationRef Lookup(const io::Address& address);

  // The entry of an Endpoints resource that no destination led to; asks if there is none.
  EndpointsRef LookupEndpoints(std::string_view name);

  // co_await Resolved(entry, deadline): returns when answer() is no longer kAsked, or at the
  // deadline; returns answer(). The entry is held meanwhile.
  io::Task<Answer> Resolved(DestinationRef entry, io::Nanos deadline);
  io::Task<Answer> Resolved(EndpointsRef entry, io::Nanos deadline);

  // The pod this sidecar stands in, and mesh-wide settings. Null until they have come; what has
  // come stays.
  const std::shared_ptr<const weft::v1::Workload>& workload() const { return workload_; }
  const std::shared_ptr<const weft::v1::MeshSettings>& settings() const { return settings_; }

  // Called on the worker's thread when workload() or settings() has changed.
  void OnChange(std::function<void()> callback) { on_change_ = std::move(callback); }

  size_t destinations() const { return destinations_.size(); }
  size_t endpoints() const { return endpoints_.size(); }
  // Lookups that found the table full of entries in use.
  uint64_t refused_lookups() const { return refused_lookups_; }

  // Subscriber; called on the worker's thread.
  void OnDestination(const std::string& name, Answer answer,
                     std::shared_ptr<const route::Destination> destination) override;
  void OnEndpoints(const std::string& name, Answer answer,
                   std::shared_ptr<const weft::v1::Endpoints> endpoints) override;
  void OnWorkload(std::shared_ptr<const weft::v1::Workload> workload) override;
  void OnSettings(std::shared_ptr<const weft::v1::MeshSettings> settings) override;

 private:
  class Sweep;

  void Touch(DestinationEntry& entry);
  void DropIdle(io::Nanos now);
  void Drop(DestinationEntry& entry);
  bool MakeRoom();

  io::Reactor* const reactor_;
  Broker* const broker_;
  const Options options_;
  const ListenerFactory factory_;
  std::function<void()> on_change_;

  absl::flat_hash_map<std::string, std::unique_ptr<EndpointsEntry>> endpoints_;
  absl::flat_hash_map<io::Address, std::unique_ptr<DestinationEntry>> destinations_;
  internal::UseLink by_use_;  // of destinations
  uint64_t refused_lookups_ = 0;
  std::shared_ptr<const weft::v1::Workload> workload_;
  std::shared_ptr<const weft::v1::MeshSettings> settings_;
  std::unique_ptr<Sweep> sweep_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_WORKER_CONFIG_H_
