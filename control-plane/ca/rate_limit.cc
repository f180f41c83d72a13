#include "control-plane/ca/rate_limit.h"

#include <algorithm>

#include "base/strings.h"

namespace weft::ca {
namespace {

constexpr size_t kMaxKeys = 100'000;

}  // namespace

double RateLimit::LevelAt(const Bucket& bucket, absl::Time now) const {
  const double elapsed = std::max(0.0, absl::ToDoubleSeconds(now - bucket.at));
  return std::min(burst_, bucket.level + elapsed * per_second_);
}

bool RateLimit::Allow(std::string_view key, absl::Time now) {
  absl::MutexLock lock(&mu_);
  auto found = buckets_.find(ToAbsl(key));
  if (found == buckets_.end()) {
    if (buckets_.size() >= kMaxKeys) {
      absl::erase_if(buckets_,
                     [&](const auto& entry) { return LevelAt(entry.second, now) >= burst_; });
      if (buckets_.size() >= kMaxKeys) return false;
    }
    found = buckets_.emplace(std::string(key), Bucket{burst_, now}).first;
  }
  Bucket& bucket = found->second;
  bucket.level = LevelAt(bucket, now);
  bucket.at = now;
  if (bucket.level < 1) return false;
  bucket.level -= 1;
  return true;
}

}  // namespace weft::ca
