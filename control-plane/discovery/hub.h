// Between the compiler and the streams: who is interested in what, and when changes go out.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_HUB_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_HUB_H_

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "control-plane/discovery/catalogue.h"
#include "control-plane/metrics.h"

namespace weft::discovery {

class Stream;

// Bounds on what callers may occupy.
struct Limits {
  size_t subscriptions_per_stream = 20'000;
  size_t streams_per_identity = 10'000;  // pods of one service account share an identity
  size_t streams_per_workload = 4;       // a reconnecting pod's old ones may not be known dead yet
  size_t name_bytes = 512;
  size_t response_bytes = 1024 * 1024;  // about; a single larger resource still goes out
};

// Thread-safe. One thread of its own waits for changes, gathers them so that there is at most one
// push in each debounce time, and hands each stream those it is subscribed to. Lock order: stream,
// hub, catalogue.
class Hub {
 public:
  struct Options {
    std::string trust_domain = "cluster.local";
    absl::Duration push_debounce = absl::Milliseconds(20);
    Limits limits = {};
  };

  // The references must outlive the hub.
  Hub(Catalogue& catalogue, Metrics& metrics, Options options);
  // All streams must be done: shut the gRPC server down first.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Resources of these keys may have changed. Returns at once.
  void OnChanged(const std::vector<compile::ResourceKey>& keys);

  // A new stream of the peer. ResourceExhausted if the identity has too many.
  absl::Status Join(std::shared_ptr<Stream> stream);
  // The stream has said which workload it is. ResourceExhausted if that has too many.
  absl::Status Name(const Stream& stream, std::string_view workload);
  void Leave(const Stream& stream);

  // The stream gets the key's changes from now on. Before it asks the catalogue, so that none is
  // missed.
  void Subscribe(Stream& stream, const compile::ResourceKey& key);
  void Unsubscribe(Stream& stream, const compile::ResourceKey& key);

  // Streams in no order; `workload` is "namespace/pod".
  std::vector<std::shared_ptr<Stream>> Streams() const;
  std::vector<std::shared_ptr<Stream>> StreamsOf(std::string_view workload) const;

  // Ends all streams, and refuses new ones, so that the sidecars go to another replica or come
  // back.
  void Drain();

  Catalogue& catalogue() { return catalogue_; }
  Metrics& metrics() { return metrics_; }
  const Options& options() const { return options_; }

 private:
  struct Member {
    std::shared_ptr<Stream> stream;
    std::string workload;  // empty until it has said
  };

  void Run();
  void Push(const absl::flat_hash_map<compile::ResourceKey, absl::Time>& changes);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || !changes_.empty(); }

  Catalogue& catalogue_;
  Metrics& metrics_;
  const Options options_;

  mutable absl::Mutex mu_;
  absl::flat_hash_map<const Stream*, Member> members_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, size_t> per_identity_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, size_t> per_workload_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<compile::ResourceKey, absl::flat_hash_set<Stream*>> interest_
      ABSL_GUARDED_BY(mu_);
  // Since when each key has been waiting to be pushed.
  absl::flat_hash_map<compile::ResourceKey, absl::Time> changes_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace weft::discovery

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_HUB_H_
