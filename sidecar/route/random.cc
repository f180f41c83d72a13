#include "sidecar/route/random.h"

#include <sys/random.h>

#include <chrono>

namespace weft::route {

Random::Random() {
  // Before the kernel's pool is ready getrandom may be interrupted or, without blocking, refuse.
  // Choices among backends need no secret seed, so a clock then serves.
  if (getrandom(state_, sizeof state_, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof state_) &&
      (state_[0] | state_[1] | state_[2] | state_[3]) != 0) {
    return;
  }
  Seed(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
       reinterpret_cast<uintptr_t>(this));
}

Random::Random(uint64_t seed) { Seed(seed); }

// SplitMix64, as xoshiro's authors advise: the state must not be all zero.
void Random::Seed(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

}  // namespace weft::route
