// How often one caller may do one thing: a token bucket per key.
#ifndef WEFT_CONTROL_PLANE_CA_RATE_LIMIT_H_
#define WEFT_CONTROL_PLANE_CA_RATE_LIMIT_H_

#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace weft::ca {

// Thread-safe. Remembers at most 100,000 keys; full buckets are forgotten, for they hold nothing
// back.
class RateLimit {
 public:
  // Allows `burst` at once and `per_second` in the long run.
  RateLimit(double burst, double per_second) : burst_(burst), per_second_(per_second) {}

  // Takes one from the key's bucket; false if it is empty.
  bool Allow(std::string_view key, absl::Time now);

 private:
  struct Bucket {
    double level;
    absl::Time at;
  };
  double LevelAt(const Bucket& bucket, absl::Time now) const;

  const double burst_;
  const double per_second_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_RATE_LIMIT_H_
